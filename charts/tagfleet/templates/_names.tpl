{{/* Names, labels and references. */}}

{{- define "tagfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{ (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component: dict root, component, and pool where there is one. Never changes: selectors cannot. */}}
{{- define "tagfleet.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
pool: {{ . }}
{{- end }}
{{- end -}}

{{/* The labels of a pod, without what would restart it although nothing of it has changed: dict root, component, pool. */}}
{{- define "tagfleet.podLabels" -}}
{{ include "tagfleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels of any other object: dict root, component, pool. */}}
{{- define "tagfleet.labels" -}}
{{ include "tagfleet.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image's address: dict root, image, key (its place in the values, for the message), tag (where it names none). */}}
{{- define "tagfleet.image" -}}
{{- $registry := .root.Values.imageRegistry | default .image.registry -}}
{{- if not $registry -}}
{{- fail (printf "%s.registry is not set: name the registry that you pushed the image to, e.g. registry.example.com/team" .key) -}}
{{- end -}}
{{- if not .image.repository -}}
{{- fail (printf "%s.repository is not set" .key) -}}
{{- end -}}
{{- $tag := .image.tag | default .tag -}}
{{- if .image.digest -}}
{{ printf "%s/%s@%s" $registry .image.repository .image.digest }}
{{- else if $tag -}}
{{ printf "%s/%s:%s" $registry .image.repository $tag }}
{{- else -}}
{{- fail (printf "%s needs a tag or a digest" .key) -}}
{{- end -}}
{{- end -}}

{{/* The fleet's own image: dict root, and image and key of a pool that has another. */}}
{{- define "tagfleet.fleetImage" -}}
{{- $image := deepCopy .root.Values.image -}}
{{- range $field, $value := .image -}}
{{- if $value -}}{{- $_ := set $image $field $value -}}{{- end -}}
{{- end -}}
{{- $own := .image | default dict -}}
{{- if and (or $own.repository $own.tag) (not $own.digest) -}}
{{- /* The digest of all is that of another image. */ -}}
{{- $_ := set $image "digest" "" -}}
{{- end -}}
{{ include "tagfleet.image" (dict "root" .root "image" $image "key" "image" "tag" .root.Chart.AppVersion) }}
{{- end -}}

{{/* The Secret and key of a URL: dict root, which (broker, database, management). As `name|key`. */}}
{{- define "tagfleet.secret" -}}
{{- $name := include "tagfleet.fullname" .root -}}
{{- $trial := .root.Values.trial -}}
{{- $own := dict "broker" .root.Values.broker.secret "management" .root.Values.broker.managementSecret "database" .root.Values.database.secret -}}
{{- $ref := get $own .which -}}
{{- $value := dict "broker" "broker.secret.name" "management" "broker.managementSecret.name" "database" "database.secret.name" -}}
{{- if and $trial.rabbitmq.enabled (has .which (list "broker" "management")) -}}
{{ $name }}-rabbitmq|{{ .which }}-url
{{- else if and $trial.postgres.enabled (eq .which "database") -}}
{{ $name }}-postgres|database-url
{{- else if and .root.Values.externalSecrets.enabled (get .root.Values.externalSecrets .which).key -}}
{{ $name }}|{{ .which }}-url
{{- else if $ref.name -}}
{{- include "tagfleet.checkSecret" (dict "root" .root "value" (get $value .which) "ref" $ref) -}}
{{ $ref.name }}|{{ $ref.key }}
{{- else if .root.Values.externalSecrets.enabled -}}
{{- fail (printf "externalSecrets.%s.key is not set: name the entry of the store that holds the URL" .which) -}}
{{- else -}}
{{- fail (printf "%s is not set: name a Secret of this namespace whose key %s holds the URL" (get $value .which) $ref.key) -}}
{{- end -}}
{{- end -}}

{{/* Refuses a Secret that is not there, instead of pods that wait for it without a word: dict root, value (the name's place in the values),
ref (name, key). Only a cluster that answers can tell; every namespace of one has the service account `default`. */}}
{{- define "tagfleet.checkSecret" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if lookup "v1" "ServiceAccount" $namespace "default" -}}
{{- $there := lookup "v1" "Secret" $namespace .ref.name -}}
{{- if not $there -}}
{{- fail (printf "%s: there is no Secret %q in the namespace %q: make it, with the key %s" .value .ref.name $namespace .ref.key) -}}
{{- end -}}
{{- if not (hasKey ($there.data | default dict) .ref.key) -}}
{{- fail (printf "%s: the Secret %q in the namespace %q has no key %s" .value .ref.name $namespace .ref.key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A ConfigMap or a claim that a value names is there: dict root, value, kind, name, and key where it must have one. Asked as above. */}}
{{- define "tagfleet.checkThere" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if lookup "v1" "ServiceAccount" $namespace "default" -}}
{{- $there := lookup "v1" .kind $namespace .name -}}
{{- if not $there -}}
{{- fail (printf "%s: there is no %s %q in the namespace %q" .value .kind .name $namespace) -}}
{{- end -}}
{{- if and .key (not (hasKey ($there.data | default dict) .key)) -}}
{{- fail (printf "%s: the %s %q in the namespace %q has no key %s" .value .kind .name $namespace .key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A variable with the value of such a URL: dict root, which, variable. */}}
{{- define "tagfleet.secretEnv" -}}
{{- $ref := include "tagfleet.secret" . | splitList "|" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ index $ref 0 }}
      key: {{ index $ref 1 }}
{{- end -}}
