{{/* What all pods share. Each of these takes dict root, component, pool (name) unless it says otherwise. */}}

{{/* The restricted Pod Security Standard. 65532 is `nonroot` of the distroless images. */}}
{{- define "tagfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user | default 65532 }}
runAsGroup: {{ .user | default 65532 }}
fsGroup: {{ .user | default 65532 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tagfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Of root: what pulls images, and no token: nothing here talks to Kubernetes. */}}
{{- define "tagfleet.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where pods go: dict root, component, pool (name), values (nodeSelector and the like). */}}
{{- define "tagfleet.placing" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.spread.over }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $.root.Values.spread.whenUnsatisfiable }}
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "tagfleet.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Start, ready, live: dict startSeconds. The admin port opens when the process has its models and its servers; it waits for each
server for a minute by itself, and then ends with the reason. Live asks the process alone: a server that is away must not restart it. */}}
{{- define "tagfleet.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div (add .startSeconds 181) 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* The variables of scheduler and workers: dict root, extraEnv. */}}
{{- define "tagfleet.env" -}}
- name: TAGFLEET_CONFIG
  value: /etc/tagfleet/config.toml
{{ include "tagfleet.secretEnv" (dict "root" .root "which" "broker" "variable" "TAGFLEET__BROKER__URL") }}
{{ include "tagfleet.secretEnv" (dict "root" .root "which" "database" "variable" "TAGFLEET__DATABASE__URL") }}
{{- include "tagfleet.caEnv" .root }}
{{- range .extraEnv }}
{{- if hasPrefix "TAGFLEET_" .name }}
{{- fail (printf "extraEnv: %s is a setting: it belongs in config, and a URL with a password in a Secret" .name) }}
{{- end }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{/* Of root. */}}
{{- define "tagfleet.caEnv" -}}
{{- if .Values.caBundle.configMap }}
- name: SSL_CERT_FILE
  value: /etc/tagfleet-ca/{{ .Values.caBundle.key }}
{{- end }}
{{- end -}}

{{- define "tagfleet.caMount" -}}
{{- if .Values.caBundle.configMap }}
- {name: ca, mountPath: /etc/tagfleet-ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "tagfleet.caVolume" -}}
{{- with .Values.caBundle.configMap }}
{{- include "tagfleet.checkThere" (dict "root" $ "value" "caBundle.configMap" "kind" "ConfigMap" "name" . "key" $.Values.caBundle.key) }}
- name: ca
  configMap:
    name: {{ . }}
{{- end }}
{{- end -}}

{{/* `tagfleet-scheduler migrate`, as a container: root. */}}
{{- define "tagfleet.migrateContainer" -}}
name: migrate
image: {{ include "tagfleet.fleetImage" (dict "root" .) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [tagfleet-scheduler, migrate]
terminationMessagePolicy: FallbackToLogsOnError
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
securityContext:
  {{- include "tagfleet.containerSecurity" . | nindent 2 }}
{{- end -}}
