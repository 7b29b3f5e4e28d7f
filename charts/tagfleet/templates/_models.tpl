{{/* Model sets that are not in the fleet's image. */}}

{{/* The volume that brings or takes the set: the values of `models`. */}}
{{- define "tagfleet.modelsVolume" -}}
{{- if eq .source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .claim.name }}
    readOnly: true
{{- else if ne .source "image" }}
- name: models
  emptyDir: {sizeLimit: 4Gi}
- name: fetched
  emptyDir: {sizeLimit: 4Gi}
{{- end }}
{{- end -}}

{{/* The init container that puts the set into its volume, or nothing: dict root, pool (name), models. */}}
{{- define "tagfleet.modelsContainer" -}}
{{- $models := .models -}}
{{- $at := printf "pools.%s.models" .pool -}}
{{- if has $models.source (list "copy" "url") -}}
name: models
{{- if eq $models.source "copy" }}
image: {{ include "tagfleet.image" (dict "root" .root "image" $models.copy.image "key" (printf "%s.copy.image" $at)) }}
# Not to /models: the image may have its set there.
command: [cp, -R, {{ printf "%s/." $models.copy.folder | quote }}, /copied]
{{- else }}
image: {{ include "tagfleet.image" (dict "root" .root "image" .root.Values.fetchImage "key" "fetchImage") }}
command: [sh, -ec]
args:
  - |
    say() { echo "$*"; echo "$*" >/dev/termination-log; }
    set -- --fail --silent --show-error --location --retry 5 --retry-all-errors --connect-timeout 10
    if [ -n "${AUTHORIZATION:-}" ]; then
      # Not an argument: those are for every process to read.
      printf 'header = "Authorization: %s"\n' "$AUTHORIZATION" >/tmp/header
      set -- "$@" --config /tmp/header
    fi
    curl "$@" --output /tmp/set.tar.gz "$ADDRESS" 2>/tmp/error || { say "model set $ADDRESS: $(tail -n 1 /tmp/error)"; exit 1; }
    found=$(sha256sum /tmp/set.tar.gz | cut -d ' ' -f 1)
    [ "$found" = "$SHA256" ] || { say "model set $ADDRESS: its SHA-256 is $found, not $SHA256"; exit 1; }
    tar -xzf /tmp/set.tar.gz -C /models || { say "model set $ADDRESS: no .tar.gz"; exit 1; }
    say "model set $ADDRESS: unpacked"
env:
  - name: ADDRESS
    value: {{ $models.url.address | quote }}
  - name: SHA256
    value: {{ $models.url.sha256 | quote }}
  {{- with .root.Values.caBundle }}
  {{- if .configMap }}
  - name: CURL_CA_BUNDLE
    value: /etc/tagfleet-ca/{{ .key }}
  {{- end }}
  {{- end }}
  {{- if $models.url.authorizationSecret.name }}
  {{- include "tagfleet.checkSecret" (dict "root" .root "value" (printf "%s.url.authorizationSecret.name" $at) "ref" $models.url.authorizationSecret) }}
  - name: AUTHORIZATION
    valueFrom:
      secretKeyRef:
        name: {{ $models.url.authorizationSecret.name }}
        key: {{ $models.url.authorizationSecret.key }}
  {{- end }}
{{- end }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
resources:
  requests: {cpu: 50m, memory: 64Mi}
  limits: {cpu: "1", memory: 256Mi}
securityContext:
  {{- include "tagfleet.containerSecurity" .root | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - {name: models, mountPath: {{ eq $models.source "copy" | ternary "/copied" "/models" }}}
  - {name: fetched, mountPath: /tmp}
  {{- with include "tagfleet.caMount" .root | trim }}{{ . | nindent 2 }}{{ end }}
{{- end -}}
{{- end -}}
