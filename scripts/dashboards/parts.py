"""What dashboards are made of: panels with a title, a unit and a description, laid out row by row."""

# The selectors that every expression of the fleet has.
FLEET = 'namespace=~"$namespace"'
POOL = f'{FLEET},pool=~"$pool"'
LANE = f'{FLEET},lane=~"$lane"'
SET = f'{FLEET},set=~"$set"'

# Grafana's units.
SECONDS, SHARE, BYTES, BYTES_RATE, COUNT = "s", "percentunit", "bytes", "Bps", "short"
IMAGES, IMAGES_RATE, CORES, JOBS_RATE = "suffix: images", "suffix: images/s", "suffix: cores", "suffix: jobs/s"

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def limits(*steps, good="green"):
    """Colours by value: limits((0.9, "yellow"), (1, "red"))."""
    return [{"color": good, "value": None}] + [{"color": color, "value": value} for value, color in steps]


def query(expr, legend=""):
    return {"expr": expr, "legendFormat": legend}


def panel(kind, title, description, unit, queries, *, thresholds=None, texts=None, options=None, custom=None, low=0, high=None, decimals=None):
    """A panel without a place. `thresholds` are colours by value, drawn where they mean something; `texts` a word and a colour for a value."""
    targets = [
        {"datasource": SOURCE, "refId": chr(ord("A") + number), "editorMode": "code", "range": kind == "timeseries",
         "instant": kind != "timeseries", **each}
        for number, each in enumerate(queries)
    ]
    defaults = {"unit": unit, "min": low, "thresholds": {"mode": "absolute", "steps": thresholds or limits()}, "custom": custom or {}}
    if high is not None:
        defaults["max"] = high
    if decimals is not None:
        defaults["decimals"] = decimals
    if texts:
        defaults["mappings"] = [{"type": "value", "options": {
            value: {"text": text, "color": color, "index": index} for index, (value, (text, color)) in enumerate(texts.items())}}]
    defaults["color"] = {"mode": "palette-classic" if kind in ("timeseries", "bargauge") and not thresholds else "thresholds"}
    if kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
    return {
        "type": kind, "title": title, "description": description, "datasource": SOURCE, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options or {},
    }


def graph(title, description, unit, *queries, thresholds=None, stacked=False, high=None):
    """Lines over time; thresholds as lines across."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 40 if stacked else 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
              "thresholdsStyle": {"mode": "dashed" if thresholds else "off"}}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, unit, queries, thresholds=thresholds, options=options, custom=custom, high=high)


def number(title, description, unit, expr, *, thresholds=None, texts=None, decimals=None):
    """One number, coloured, or a word for it."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "background" if thresholds else "value",
               "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto"}
    return panel("stat", title, description, unit, [query(expr)], thresholds=thresholds, texts=texts, options=options, decimals=decimals)


def bars(title, description, unit, expr, legend, *, thresholds=None, high=None):
    """A bar for each series, now."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "displayMode": "basic", "orientation": "horizontal",
               "valueMode": "color", "showUnfilled": True, "minVizHeight": 10, "minVizWidth": 0}
    return panel("bargauge", title, description, unit, [query(expr, legend)], thresholds=thresholds, options=options, high=high)


def table(title, description, unit, expr, columns):
    """A line for each series, with these labels."""
    made = panel("table", title, description, unit, [query(expr) | {"format": "table"}], options={"showHeader": True, "cellHeight": "sm"})
    shown = {name: place for place, name in enumerate([*columns, "Value"])}
    made["transformations"] = [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(shown)}}},
        {"id": "organize", "options": {"indexByName": shown, "renameByName": {"Value": "Workers"}, "excludeByName": {}}},
    ]
    return made


def words(title, description, markdown):
    return {"type": "text", "title": title, "description": description, "options": {"mode": "markdown", "content": markdown, "code": {"language": "sql", "showLineNumbers": False, "showMiniMap": False}}}


def section(title, *rows):
    return title, rows


def dashboard(uid, title, description, variables, *sections, since="now-6h"):
    """`sections` are rows of panels: (height, panel, panel…), as wide as all others of the row."""
    panels, y = [], 0
    for name, rows in sections:
        panels.append({"type": "row", "title": name, "collapsed": False, "panels": [], "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}})
        y += 1
        for height, *row in rows:
            width = WIDTH // len(row)
            for column, each in enumerate(row):
                panels.append(each | {"gridPos": {"h": height, "w": width, "x": column * width, "y": y}})
            y += height
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "uid": f"tagfleet-{uid}", "title": f"Tagfleet / {title}", "description": description, "tags": ["tagfleet"], "schemaVersion": 39,
        "version": 1, "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "fiscalYearStartMonth": 0,
        "time": {"from": since, "to": "now"}, "timepicker": {}, "annotations": {"list": ANNOTATIONS},
        "links": [{"type": "dashboards", "title": "Tagfleet", "tags": ["tagfleet"], "asDropdown": False, "includeVars": True, "keepTime": True,
                   "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "templating": {"list": [DATASOURCE, *(VARIABLES[name] for name in ("namespace", *variables))]},
        "panels": panels,
    }


def annotation(name, color, what, shown, *labels):
    """Marks what is there now and was not five minutes ago, by `shown` and these labels."""
    by = ", ".join([shown, *labels])
    now = f"count by ({by}) ({what}{{{FLEET}}})"
    before = f"count by ({by}) ({what}{{{FLEET}}} offset 5m)"
    return {"name": name, "datasource": SOURCE, "enable": True, "hide": False, "iconColor": color, "expr": f"{now} unless {before}",
            "step": "60s", "titleFormat": f"{name}: {{{{{shown}}}}}", "useValueForTime": False}


ANNOTATIONS = [
    annotation("worker version", "blue", "tagfleet_worker_build_info", "version"),
    annotation("scheduler version", "light-blue", "tagfleet_scheduler_build_info", "version"),
    # Other models under the name that they had are another set, too.
    annotation("model set", "purple", "tagfleet_worker_model_info", "set", "digest"),
]

DATASOURCE = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1, "regex": "", "hide": 0,
              "includeAll": False, "multi": False, "options": []}


def variable(name, label, series):
    text = f"label_values({series}, {name})"
    return {"type": "query", "name": name, "label": label, "datasource": SOURCE, "query": {"qryType": 1, "query": text, "refId": name},
            "refresh": 2, "sort": 1, "regex": "", "hide": 0, "includeAll": True, "allValue": ".*", "multi": True, "options": [],
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


VARIABLES = {
    "namespace": variable("namespace", "Namespace", "tagfleet_scheduler_build_info"),
    "pool": variable("pool", "Pool", f"tagfleet_worker_build_info{{{FLEET}}}"),
    "lane": variable("lane", "Lane", f"tagfleet_scheduler_untagged_images{{{FLEET}}}"),
    "set": variable("set", "Model set", f"tagfleet_worker_model_info{{{FLEET}}}"),
    "attribute": variable("attribute", "Attribute", f"tagfleet_worker_tags_total{{{FLEET}}}"),
}


def rate(series, selector, by=""):
    """Per second, of all processes together."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({series}{{{selector}}}[$__rate_interval]))"


def share_by(label, series, selector, of):
    """Of all that `selector` selects, the share of those that are `of` this kind besides, by a label."""
    return f"{rate(series, f'{selector},{of}', label)} / ignoring ({label}) group_left {rate(series, selector)}"


def quantile(share, series, selector, by="", window="$__rate_interval"):
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({series}_bucket{{{selector}}}[{window}])))"


def mean(series, selector, by):
    return f"{rate(series + '_sum', selector, by)} / {rate(series + '_count', selector, by)}"


def mean_share(series, selector, by):
    """Of values that are shares. Prometheus may see one counter of a worker that was started anew start at zero, and not yet the other."""
    return f"clamp_max({mean(series, selector, by)}, 1)"


def same(series, selector, by=""):
    """Of series that are the same in every scheduler."""
    grouped = f" by ({by})" if by else ""
    return f"max{grouped} ({series}{{{selector}}})"
