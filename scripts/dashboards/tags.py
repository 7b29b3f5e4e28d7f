"""Tags: shares, confidence, defaults, fixes, by model set: did the last roll-out change anything."""

from parts import *

ANSWERS = f'{SET},attribute=~"$attribute"'
SHARES = (f"sum by (set, attribute, value) (rate(tagfleet_worker_tags_total{{{ANSWERS}}}[$__rate_interval])) / on (set, attribute) group_left "
          f"sum by (set, attribute) (rate(tagfleet_worker_tags_total{{{ANSWERS}}}[$__rate_interval]))")

BOARD = dashboard(
    "tags", "Tags",
    "What the models say, by model set: did the last roll-out change anything? Purple marks (annotations) are new sets.",
    ["set", "attribute"],
    section(
        "What do they say?",
        (9,
         graph("Which share has each value?", "Of pictures that a model looked at, not of cached ones. A step at a purple mark: the set; a slow change: the pictures.",
               SHARE, query(SHARES, "{{set}} {{attribute}}={{value}}"), high=1),
         bars("The same over the last day", "Compare two sets here: their shares should differ where their cards say so.",
              SHARE, SHARES.replace("$__rate_interval", "1d"), "{{set}} {{attribute}}={{value}}", high=1)),
    ),
    section(
        "How sure are they?",
        (8,
         graph("How sure on average?", "The probability of the best answer. Falling with the same set: the pictures have changed; time to look at some.",
               SHARE, query(mean_share("tagfleet_worker_tag_confidence_ratio", ANSWERS, "set, attribute"), "{{set}} {{attribute}}"), high=1),
         graph("How many are unsure?", "Share of answers with a probability of at most 0.7. These are what people correct most.",
               SHARE, query(f'sum by (set, attribute) (rate(tagfleet_worker_tag_confidence_ratio_bucket{{{ANSWERS},le="0.7"}}[$__rate_interval])) / '
                            + rate("tagfleet_worker_tag_confidence_ratio_count", ANSWERS, "set, attribute"), "{{set}} {{attribute}}"))),
    ),
    section(
        "How often do they say nothing?",
        (8,
         graph("Which share gets the defaults, by set?", "Defaulted images of all; they have the defaults of all attributes. Above its usual share after a roll-out: put the set before it back. The line: 5 %, as monitoring.rules.defaultsShare comes.",
               SHARE, query(f"max by (set) (tagfleet:defaulted:ratio15m{{{SET}}})", "{{set}}"), query(f"max by (set) (tagfleet:defaulted:ratio1d{{{SET}}})", "{{set}}, last day"),
               thresholds=limits((0.05, "yellow"))),
         graph("Why?", "Share of all images that has the defaults, by reason, of all sets and all attributes. inference: the models failed on a picture. Others: pictures that nobody can read.",
               SHARE, query(share_by("reason", "tagfleet_worker_jobs_total", FLEET, 'outcome="defaulted"'), "{{reason}}"), stacked=True)),
    ),
    section(
        "What do people think of it?",
        (8,
         graph("How many fixes per thousand images?", "Corrections by people within six hours for each thousand images tagged, of all sets and all attributes. Rising: look at what they correct, in fix_history.",
               "suffix: ‰", query(f"1000 * max(increase(tagfleet_scheduler_fixes_total{{{FLEET}}}[6h])) / sum(increase(tagfleet_scheduler_images_tagged_total{{{FLEET}}}[6h]))", "fixes")),
         number("Fixes ever", "Corrections that people have made, withdrawn ones included, of all sets and all attributes.", COUNT, same("tagfleet_scheduler_fixes_total", FLEET)),
         table("Which set answers where?", "Workers by set, which answers for all attributes. Two sets of one name have different digests.",
               COUNT, f"count by (pool, set, digest) (tagfleet_worker_model_info{{{SET}}})", ["pool", "set", "digest"])),
    ),
)
