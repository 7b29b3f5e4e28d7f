{{/* Settings: values to config.toml, and what the chart itself must know of them. */}}

{{/* A section and those within it: dict name, table. Every number is written as it is meant: Helm reads all as floats. */}}
{{- define "tagfleet.toml" -}}
{{- $name := .name -}}
{{- if .name }}
[{{ .name }}]
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "float64" $value }}
{{ $key }} = {{ if eq $value (floor $value) }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- else if not (kindIs "map" $value) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{ include "tagfleet.toml" (dict "name" (list $name $key | compact | join ".") "table" $value) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The names of the pools with GPUs, as JSON. */}}
{{- define "tagfleet.gpuPools" -}}
{{- $names := list -}}
{{- range $name, $pool := include "tagfleet.pools" . | fromYaml -}}
{{- if gt (int $pool.gpu.count) 0 -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{ toJson $names }}
{{- end -}}

{{/* The settings of the scheduler, as YAML. */}}
{{- define "tagfleet.schedulerConfig" -}}
{{- $limits := .Values.monitoring.rules.limits -}}
{{- $alerts := dict "oldest_express" $limits.oldestExpress "oldest_standard" $limits.oldestStandard "oldest_bulk" $limits.oldestBulk
  "stuck_after" $limits.stuckAfter "events_waiting" $limits.eventsWaiting "objective" .Values.monitoring.rules.objective
  "least_rate" $limits.leastRate "defaults_ceiling" $limits.defaultsCeiling "skips_ceiling" $limits.skipsCeiling
  "gpu_pools" (include "tagfleet.gpuPools" . | fromJsonArray) -}}
{{ mergeOverwrite (dict "alerts" $alerts) (deepCopy .Values.config) (deepCopy .Values.scheduler.config) (dict "admin" (dict "listen" "0.0.0.0:9091")) | toYaml }}
{{- end -}}

{{/* The settings of the console, as YAML. Behind console.host is a proxy that speaks TLS. The console sends no traces. */}}
{{- define "tagfleet.consoleConfig" -}}
{{- $http := dict "listen" "0.0.0.0:8080" -}}
{{- $public := .Values.console.host | empty | ternary dict (dict "public_url" (printf "https://%s" .Values.console.host)) -}}
{{- $computed := dict "admin" (dict "listen" "0.0.0.0:9092") "http" $http -}}
{{ mergeOverwrite (dict "http" $public) (omit (deepCopy .Values.config) "traces") (deepCopy .Values.console.config) $computed | toYaml }}
{{- end -}}

{{/* The settings of a pool's workers, as YAML: dict root, pool (its values). */}}
{{- define "tagfleet.workerConfig" -}}
{{- $computed := dict "admin" (dict "listen" "0.0.0.0:9090") "models" (dict "dir" (include "tagfleet.modelsDir" .pool.models)) "report" (dict "pool" .name) -}}
{{- $device := gt (int .pool.gpu.count) 0 | ternary (dict "runtime" (dict "device" "cuda:0")) dict -}}
{{ mergeOverwrite (deepCopy .root.Values.config) $device (deepCopy .pool.config) $computed | toYaml }}
{{- end -}}

{{/* The folder of a model set in the worker's container. */}}
{{- define "tagfleet.modelsDir" -}}
{{- if eq .source "image" -}}
{{ .path | default "/opt/tagfleet/models/default" }}
{{- else -}}
{{ list "/models" .path | compact | join "/" }}
{{- end -}}
{{- end -}}

{{/* The seconds of a duration like "25s", "1m 30s": rounded up. */}}
{{- define "tagfleet.seconds" -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "sec" 1.0 "m" 60.0 "min" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9]+\\s*[a-z]+" . -1 -}}
{{- $number := regexFind "[0-9]+" . | float64 -}}
{{- $sum = addf $sum (mulf $number (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{ ceil $sum | int64 }}
{{- end -}}

{{/* Every pool with all its fields, as YAML: a pool says what differs from poolDefaults. */}}
{{- define "tagfleet.pools" -}}
{{- $pools := dict -}}
{{- range $name, $pool := .Values.pools -}}
{{- if kindIs "map" $pool -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,14}[a-z0-9])?$" $name) -}}
{{- fail (printf "pools.%s: a pool's name has at most 16 lower-case letters, digits and dashes" $name) -}}
{{- end -}}
{{- $_ := set $pools $name (mergeOverwrite (deepCopy $.Values.poolDefaults) (deepCopy $pool)) -}}
{{- end -}}
{{- end -}}
{{- if not $pools -}}
{{- fail "pools is empty: without a pool no picture is tagged" -}}
{{- end -}}
{{ toYaml $pools }}
{{- end -}}

{{/* What no schema can say of a pool: dict root, name, pool. */}}
{{- define "tagfleet.checkPool" -}}
{{- $at := printf "pools.%s" .name -}}
{{- $models := .pool.models -}}
{{- $scaling := .pool.scaling -}}
{{- if and (eq $models.source "image") $models.path (not (hasPrefix "/" $models.path)) -}}
{{- fail (printf "%s.models.path: %q must begin with /, for it is in the image" $at $models.path) -}}
{{- end -}}
{{- if and (eq $models.source "claim") (not $models.claim.name) -}}
{{- fail (printf "%s.models.claim.name is not set: name the PersistentVolumeClaim that holds the model set" $at) -}}
{{- end -}}
{{- if eq $models.source "claim" -}}
{{- include "tagfleet.checkThere" (dict "root" .root "value" (printf "%s.models.claim.name" $at) "kind" "PersistentVolumeClaim" "name" $models.claim.name) -}}
{{- end -}}
{{- if eq $models.source "url" -}}
{{- if not (and $models.url.address $models.url.sha256) -}}
{{- fail (printf "%s.models.url needs both address and sha256" $at) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $scaling.min) (int $scaling.max) -}}
{{- fail (printf "%s.scaling: min (%v) is above max (%v)" $at $scaling.min $scaling.max) -}}
{{- end -}}
{{- if and (eq $scaling.type "hpa") (lt (int $scaling.min) 1) -}}
{{- fail (printf "%s.scaling.min must be at least 1: only KEDA (scaling.type: keda) goes to 0" $at) -}}
{{- end -}}
{{- if has (toString .pool.maxSurge) (list "0" "0%") -}}
{{- if has (toString .pool.maxUnavailable) (list "0" "0%") -}}
{{- fail (printf "%s: maxSurge and maxUnavailable are both 0, no pod could ever be replaced" $at) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int .pool.gpu.count) 0) (eq (dig "runtime" "device" "cuda:0" .pool.config) "cpu") -}}
{{- fail (printf "%s asks for a GPU (gpu.count) and forbids it (config.runtime.device: cpu)" $at) -}}
{{- end -}}
{{- if not (include "tagfleet.lanes" .pool) -}}
{{- fail (printf "%s.config.lanes: all weights are 0, the pool would take no jobs" $at) -}}
{{- end -}}
{{- end -}}

{{/* The lanes that a pool serves, separated by spaces. */}}
{{- define "tagfleet.lanes" -}}
{{- $defaults := dict "express" 6 "standard" 3 "bulk" 1 -}}
{{- $served := list -}}
{{- range list "express" "standard" "bulk" -}}
{{- if gt (int (dig "lanes" . (get $defaults .) $.config)) 0 -}}{{- $served = append $served . -}}{{- end -}}
{{- end -}}
{{ join " " $served }}
{{- end -}}
