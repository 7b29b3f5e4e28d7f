{{/* The alerts: dict root, of (the selector that all series have in common). A series that counts rare things begins when the first
happens, which `increase` does not see: hence the second half of some expressions. */}}
{{- define "tagfleet.alerts" -}}
{{- $of := .of -}}
{{- $rules := .root.Values.monitoring.rules -}}
- alert: TagfleetNoScheduler
  expr: absent(tagfleet_scheduler_build_info{ {{- $of -}} })
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: No scheduler can be seen.
    description: Finished scrapes are not fanned out and tagged ones are not announced. Nothing is lost, the events wait in their queue.
- alert: TagfleetScrapeStuck
  expr: max by (state) (tagfleet_scheduler_oldest_scrape_seconds{ {{- $of -}} }) > {{ $rules.scrapeStuckSeconds | int64 }}
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `A scrape has been {{ $labels.state }} for {{ $value | humanizeDuration }}.` | quote }}
    description: Look at the view scrape_overview for its progress, and at the queues of its lane.
- alert: TagfleetJobsDeadLettered
  expr: |
    sum by (reason) (increase(tagfleet_worker_jobs_dead_lettered_total{ {{- $of -}} }[15m])) > 0
    or (sum by (reason) (tagfleet_worker_jobs_dead_lettered_total{ {{- $of -}} }) unless sum by (reason) (tagfleet_worker_jobs_dead_lettered_total{ {{- $of -}} } offset 15m))
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Jobs went to the dead-letter queue: {{ $labels.reason }}.` | quote }}
    description: A person has to look at them. Their headers x-tagfleet-reason and x-tagfleet-error say what happened.
- alert: TagfleetEventsDeadLettered
  expr: |
    sum by (reason) (increase(tagfleet_scheduler_dead_letters_total{ {{- $of -}} }[15m])) > 0
    or (sum by (reason) (tagfleet_scheduler_dead_letters_total{ {{- $of -}} }) unless sum by (reason) (tagfleet_scheduler_dead_letters_total{ {{- $of -}} } offset 15m))
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Events went to the dead-letter queue: {{ $labels.reason }}.` | quote }}
    description: A pipeline sends what cannot be read, or its manifest is not there.
- alert: TagfleetServerAway
  expr: |
    sum by (server) (increase(tagfleet_worker_outages_total{ {{- $of -}} }[5m])) > 0
    or sum by (server) (increase(tagfleet_scheduler_outages_total{ {{- $of -}} }[5m])) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `Work is held: {{ $labels.server }} is away.` | quote }}
    description: Nothing is lost. /readyz of every pod says what is away.
- alert: TagfleetLaneWithoutWorker
  expr: min by (pool, lane) (tagfleet_worker_lane_receiving{ {{- $of -}} }) == 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `A worker of {{ $labels.pool }} does not receive jobs of the lane {{ $labels.lane }}.` | quote }}
    description: The broker does not have it as a consumer. Its log says why.
- alert: TagfleetExpressWaits
  expr: histogram_quantile(0.95, sum by (le) (rate(tagfleet_worker_job_wait_seconds_bucket{ {{- $of -}} ,lane="express"}[5m]))) > {{ $rules.expressWaitSeconds | int64 }}
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Jobs of small scrapes wait {{ $value | humanizeDuration }} for a worker.` | quote }}
    description: More workers are needed, or those that are there wait for something else.
- alert: TagfleetModelsFail
  expr: |
    sum(rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="defaulted",reason="inference"}[15m]))
    / sum(rate(tagfleet_worker_jobs_total{ {{- $of -}} }[15m])) > 0.01
  for: 15m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `The models fail on {{ $value | humanizePercentage }} of the pictures.` | quote }}
    description: They get the defaults. Look at the model set that came last.
- alert: TagfleetModelSetsDiffer
  expr: count by (pool) (count by (pool, digest) (tagfleet_worker_model_info{ {{- $of -}} })) > 1
  for: 1h
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Workers of {{ $labels.pool }} answer with different model sets.` | quote }}
    description: A reload or a roll-out did not reach all of them.
- alert: TagfleetJobsGetLost
  expr: sum(increase(tagfleet_scheduler_sweeps_total{ {{- $of -}} }[1h])) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "info" "rules" $rules) }}
  annotations:
    summary: Scrapes stopped moving, and their jobs were published again.
    description: Somewhere jobs get lost, or they take longer than sweep.after.
- alert: TagfleetDatabaseConnectionsShort
  expr: |
    min by (pod) (min_over_time(tagfleet_worker_database_connections{ {{- $of -}} ,state="awaited"}[10m])) > 0
    or min by (pod) (min_over_time(tagfleet_scheduler_database_connections{ {{- $of -}} ,state="awaited"}[10m])) > 0
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $labels.pod }} has waited for database connections for ten minutes.` | quote }}
    description: The database is slow, or database.pool_size is small.
{{- end -}}

{{- define "tagfleet.alertLabels" }}
    severity: {{ .severity }}
    {{- with .rules.alertLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
