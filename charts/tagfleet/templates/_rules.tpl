{{/* Every recording rule and every alert: dict root, of (the selector that all series have in common).

What is read from the database or the broker is the same in every scheduler: `max`, not `sum`. Counters are there from the start at 0, so
`increase` sees their first step. docs/RUNBOOK.md has a section for each alert. */}}
{{- define "tagfleet.recordings" -}}
{{- $of := .of -}}
- record: tagfleet:untagged_images:by_lane
  expr: max by (namespace, lane) (tagfleet_scheduler_untagged_images{ {{- $of -}} })
- record: tagfleet:jobs_ended:rate5m
  expr: sum by (namespace, lane) (rate(tagfleet_worker_jobs_ended_total{ {{- $of -}} }[5m]))
- record: tagfleet:drain_seconds:by_lane
  expr: tagfleet:untagged_images:by_lane{ {{- $of -}} } / (tagfleet:jobs_ended:rate5m{ {{- $of -}} } > 0)
- record: tagfleet:job_wait_seconds:p95
  expr: histogram_quantile(0.95, sum by (namespace, lane, le) (rate(tagfleet_worker_job_wait_seconds_bucket{ {{- $of -}} }[5m])))
{{- range list "15m" "1d" }}
- record: tagfleet:defaulted:ratio{{ . }}
  expr: |
    sum by (namespace, set) (rate(tagfleet_worker_set_jobs_total{ {{- $of -}} ,outcome="defaulted"}[{{ . }}]))
    / sum by (namespace, set) (rate(tagfleet_worker_set_jobs_total{ {{- $of -}} }[{{ . }}]))
{{- if eq . "1d" }}
- record: tagfleet:defaulted_of_all:ratio1d
  expr: |
    sum by (namespace) (rate(tagfleet_worker_set_jobs_total{ {{- $of -}} ,outcome="defaulted"}[1d]))
    / sum by (namespace) (rate(tagfleet_worker_set_jobs_total{ {{- $of -}} }[1d]))
{{- end }}
- record: tagfleet:skipped:ratio{{ . }}
  expr: |
    sum by (namespace) (rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="skipped",reason!="superseded"}[{{ . }}]))
    / sum by (namespace) (rate(tagfleet_worker_jobs_total{ {{- $of -}} }[{{ . }}]))
- record: tagfleet:cache_known:ratio{{ . }}
  expr: |
    sum by (namespace) (rate(tagfleet_worker_cache_lookups_total{ {{- $of -}} ,tier!="nowhere"}[{{ . }}]))
    / sum by (namespace) (rate(tagfleet_worker_cache_lookups_total{ {{- $of -}} }[{{ . }}]))
{{- end }}
{{- range list "5m" "30m" "1h" "6h" "3d" }}
- record: tagfleet:late_images:ratio{{ . }}
  expr: |
    sum by (namespace) (rate(tagfleet_scheduler_images_tagged_total{ {{- $of -}} ,lane!="bulk",in_time="no"}[{{ . }}]))
    / sum by (namespace) (rate(tagfleet_scheduler_images_tagged_total{ {{- $of -}} ,lane!="bulk"}[{{ . }}]))
{{- end }}
{{- end -}}

{{- define "tagfleet.alerts" -}}
{{- $of := .of -}}
{{- $rules := .root.Values.monitoring.rules -}}
{{- $limits := $rules.limits -}}
{{- $budget := subf 1.0 (float64 $rules.objective) -}}
{{- $gpuPools := include "tagfleet.gpuPools" .root | fromJsonArray -}}
{{- /* Where volumes and certificates are looked for: broker and database may be elsewhere. */}}
{{- $near := prepend $rules.serverNamespaces .root.Release.Namespace | uniq | join "|" | printf "namespace=~%q" -}}
{{- /* Volumes with model sets are read, and may be full. */}}
{{- $sets := list -}}
{{- range $name, $pool := include "tagfleet.pools" .root | fromYaml -}}
{{- if eq $pool.models.source "claim" -}}{{- $sets = append $sets $pool.models.claim.name -}}{{- end -}}
{{- end -}}
{{- $enough := printf "> %v" $limits.leastRate -}}
- alert: TagfleetNoScheduler
  expr: |
    absent(tagfleet_scheduler_build_info{ {{- $of -}} })
    or max by (namespace, queue) (tagfleet_scheduler_queue_consumers{ {{- $of -}} ,queue=~"scrape[.]finished|image[.]changed"}) == 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `No scheduler can be seen{{ with $labels.queue }} to take {{ . }}{{ end }}.` | quote }}
    description: Finished scrapes are not fanned out and tagged ones are not announced. Nothing is lost, the events wait in their queue.
- alert: TagfleetNothingTagged
  expr: |
    sum by (namespace) (max by (namespace, lane) (tagfleet_scheduler_untagged_images{ {{- $of -}} })) > 0
    and on (namespace) (
      sum by (namespace) (max by (namespace, queue) (tagfleet_scheduler_queue_messages{ {{- $of -}} ,queue=~"jobs[.].*|suspects"})) > 0
      or sum by (namespace) (tagfleet_worker_lane_jobs_in_flight{ {{- $of -}} }) > 0
    )
    unless on (namespace) sum by (namespace) (increase(tagfleet_worker_jobs_ended_total{ {{- $of -}} }[5m])) > 0
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `Nothing is tagged, and {{ $value }} images wait.` | quote }}
    description: Jobs are ready or at work; there are no workers, or all of them hold their jobs. A pool that comes up from none has ten minutes.
- alert: TagfleetImagesWait
  expr: |
    max by (namespace, lane) (tagfleet_scheduler_oldest_untagged_image_seconds{ {{- $of -}} ,lane="express"}) > {{ include "tagfleet.seconds" $limits.oldestExpress }}
    or max by (namespace, lane) (tagfleet_scheduler_oldest_untagged_image_seconds{ {{- $of -}} ,lane="standard"}) > {{ include "tagfleet.seconds" $limits.oldestStandard }}
    or max by (namespace, lane) (tagfleet_scheduler_oldest_untagged_image_seconds{ {{- $of -}} ,lane="bulk"}) > {{ include "tagfleet.seconds" $limits.oldestBulk }}
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `The oldest image of the lane {{ $labels.lane }} has waited for {{ $value | humanizeDuration }}.` | quote }}
    description: More workers are needed, or those that are there wait for something else.
- alert: TagfleetScrapeStuck
  expr: max by (namespace, lane) (tagfleet_scheduler_stuck_scrapes{ {{- $of -}} }) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ printf `Nothing has moved in {{ $value }} scrapes of the lane {{ $labels.lane }} for %s or more.` $limits.stuckAfter | quote }}
    description: No job of their lane waits, or they have stood for a day. Look at the view scrape_overview for their progress.
- alert: TagfleetDeadLetters
  expr: max by (namespace) (tagfleet_scheduler_queue_messages{ {{- $of -}} ,queue="dead"}) > 0
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value }} dead letters wait for a person.` | quote }}
    description: Jobs that the fleet cannot work on, or events that it cannot read. tagfleet-scheduler dead list says why.
{{- /* A set that is new has no day before, and its own last day is nothing but what is to be judged: it is held to that of all sets. */}}
- alert: TagfleetDefaultsHigh
  expr: |
    (
      tagfleet:defaulted:ratio15m{ {{- $of -}} }
        > clamp_min(2 * (
          tagfleet:defaulted:ratio1d{ {{- $of -}} } offset 1d >= 0
          or 0 * tagfleet:defaulted:ratio15m{ {{- $of -}} } + on (namespace) group_left tagfleet:defaulted_of_all:ratio1d{ {{- $of -}} }
        ), {{ $rules.defaultsShare }})
      or tagfleet:defaulted:ratio15m{ {{- $of -}} } > {{ $limits.defaultsCeiling }}
    )
    and on (namespace, set) sum by (namespace, set) (rate(tagfleet_worker_set_jobs_total{ {{- $of -}} }[15m])) {{ $enough }}
  for: 15m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value | humanizePercentage }} of the images have the defaults, with the model set {{ $labels.set }}.` | quote }}
    description: More than twice its share of the day before, or of all sets where it is new, or more than is ever right. A roll-out, or a source that sends what is no picture.
- alert: TagfleetSkipsHigh
  expr: |
    (
      tagfleet:skipped:ratio15m{ {{- $of -}} }
        > clamp_min(2 * (tagfleet:skipped:ratio1d{ {{- $of -}} } or 0 * tagfleet:skipped:ratio15m{ {{- $of -}} }), {{ $rules.skipsShare }})
      or tagfleet:skipped:ratio15m{ {{- $of -}} } > {{ $limits.skipsCeiling }}
    )
    and on (namespace) sum by (namespace) (rate(tagfleet_worker_jobs_total{ {{- $of -}} }[15m])) {{ $enough }}
  for: 15m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value | humanizePercentage }} of the images are skipped.` | quote }}
    description: More than twice the share of the last day, or more than is ever right. A host that is down, or our own way out.
- alert: TagfleetCacheCollapsed
  expr: |
    tagfleet:cache_known:ratio15m{ {{- $of -}} } < 0.5 * tagfleet:cache_known:ratio1d{ {{- $of -}} }
    and on (namespace) sum by (namespace) (rate(tagfleet_worker_cache_lookups_total{ {{- $of -}} }[15m])) > 1
  for: 15m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Only {{ $value | humanizePercentage }} of the images are known from before.` | quote }}
    description: Less than half of the share of the last day. Everything is downloaded and looked at anew.
- alert: TagfleetWrongProvider
  expr: |
    count by (namespace, pool) (count by (namespace, pool, provider) (tagfleet_worker_model_info{ {{- $of -}} })) > 1
    {{- with $gpuPools }}
    or count by (namespace, pool) (tagfleet_worker_model_info{ {{- $of -}} ,provider="cpu",pool=~"{{ join "|" . }}"}) > 0
    {{- end }}
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Workers of {{ $labels.pool }} run on another provider than they should.` | quote }}
    description: A pool with GPUs whose workers compute on the CPU is paid for and does a fraction of the work.
- alert: TagfleetServerAway
  expr: |
    max by (namespace, server) (min_over_time(tagfleet_worker_held{ {{- $of -}} ,server=~"database|broker|none"}[1m])) > 0
    or max by (namespace, server, pod) (min_over_time(tagfleet_worker_held{ {{- $of -}} ,server=~"models|decoders"}[1m])) > 0
    or max by (namespace, server) (tagfleet_scheduler_held{ {{- $of -}} ,why=~"away|panic"}) > 0
  for: 2m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `Work has been held for minutes{{ with $labels.pod }} in {{ . }}{{ end }}, because of: {{ $labels.server }}.` | quote }}
    description: Nothing is lost. /readyz of every pod says what is away. `none` is a step of ours that panics again and again; the log says where.
- alert: TagfleetPublishingBlocked
  expr: max by (namespace, why) (tagfleet_scheduler_held{ {{- $of -}} ,server="broker",why!="away"}) > 0
  for: 2m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `The broker takes no messages: {{ $labels.why }}.` | quote }}
    description: It is short of memory or disk, a queue is full, or a queue is missing. Nothing is lost.
- alert: TagfleetRestartLoop
  expr: |
    max by (namespace, pod) (
      changes(process_start_time_seconds{ {{- $of -}} }[15m])
      and on (namespace, pod) (tagfleet_worker_build_info{ {{- $of -}} } or tagfleet_scheduler_build_info{ {{- $of -}} } or tagfleet_console_build_info{ {{- $of -}} })
    ) > 2
    or max by (namespace, pod) (increase(kube_pod_container_status_restarts_total{ {{- $of -}} ,container=~"worker|scheduler|console"}[30m])) > 2.5
  for: 1m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $labels.pod }} was started anew {{ $value | printf "%.0f" }} times within minutes.` | quote }}
    description: It is killed or gives up; one that dies before its metrics are read is seen where kube-state-metrics is. Its last log line and the pod's last state say why.
- alert: TagfleetConsumersGone
  expr: |
    sum by (namespace, lane) (tagfleet_worker_lane_receiving{ {{- $of -}} })
    > on (namespace, lane) max by (namespace, lane)
      (label_replace(tagfleet_scheduler_queue_consumers{ {{- $of -}} ,queue=~"jobs[.].*"}, "lane", "$1", "queue", "jobs[.](.*)"))
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Workers are ready and believe that they receive jobs of {{ $labels.lane }}, and the broker does not know them.` | quote }}
    description: Restart the pods whose jobs_received_total stands still.
- alert: TagfleetLaneWithoutWorker
  expr: |
    max by (namespace, lane)
      (label_replace(tagfleet_scheduler_queue_consumers{ {{- $of -}} ,queue=~"jobs[.].*"}, "lane", "$1", "queue", "jobs[.](.*)")) == 0
    and on (namespace, lane) max by (namespace, lane)
      (label_replace(tagfleet_scheduler_queue_messages{ {{- $of -}} ,queue=~"jobs[.].*"}, "lane", "$1", "queue", "jobs[.](.*)")) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Nobody takes jobs of the lane {{ $labels.lane }}.` | quote }}
    description: There is no worker with a weight for it, or the workers have lost their consumers.
- alert: TagfleetFanOutBehind
  expr: max by (namespace, queue) (tagfleet_scheduler_queue_messages{ {{- $of -}} ,queue=~"scrape[.]finished|image[.]changed"}) > {{ $limits.eventsWaiting | int64 }}
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value }} events {{ $labels.queue }} wait for a scheduler.` | quote }}
    description: More schedulers, or those that are there wait for a manifest, the database or the broker.
- alert: TagfleetServiceLevelFast
  expr: |
    tagfleet:late_images:ratio1h{ {{- $of -}} } > {{ mulf 14.4 $budget | printf "%.4g" }} and tagfleet:late_images:ratio5m{ {{- $of -}} } > {{ mulf 14.4 $budget | printf "%.4g" }}
      and on (namespace) sum by (namespace) (rate(tagfleet_scheduler_images_tagged_total{ {{- $of -}} ,lane!="bulk"}[1h])) {{ $enough }}
    or tagfleet:late_images:ratio6h{ {{- $of -}} } > {{ mulf 6.0 $budget | printf "%.4g" }} and tagfleet:late_images:ratio30m{ {{- $of -}} } > {{ mulf 6.0 $budget | printf "%.4g" }}
      and on (namespace) sum by (namespace) (rate(tagfleet_scheduler_images_tagged_total{ {{- $of -}} ,lane!="bulk"}[6h])) {{ $enough }}
  for: 2m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value | humanizePercentage }} of the images came late: the service level of a month is used up within days.` | quote }}
    description: Images of express and standard that had their outcome later than announce.in_time after the event.
- alert: TagfleetServiceLevelSlow
  expr: |
    tagfleet:late_images:ratio3d{ {{- $of -}} } > {{ $budget | printf "%.4g" }} and tagfleet:late_images:ratio6h{ {{- $of -}} } > {{ $budget | printf "%.4g" }}
      and on (namespace) sum by (namespace) (rate(tagfleet_scheduler_images_tagged_total{ {{- $of -}} ,lane!="bulk"}[6h])) {{ $enough }}
  for: 1h
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $value | humanizePercentage }} of the images of three days came late.` | quote }}
    description: The service level will not be kept if this goes on.
- alert: TagfleetModelsFail
  expr: |
    sum by (namespace) (rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="defaulted",reason="inference"}[15m]))
    / sum by (namespace) (
        rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="inferred"}[15m])
        or rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="defaulted",reason="inference"}[15m])
      ) > 0.01
    and on (namespace) sum by (namespace) (rate(tagfleet_worker_jobs_total{ {{- $of -}} ,outcome="defaulted",reason="inference"}[15m])) > {{ divf $limits.leastRate 4 }}
  for: 15m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `The models fail on {{ $value | humanizePercentage }} of the pictures that they look at.` | quote }}
    description: They get the defaults. Look at the model set that came last.
- alert: TagfleetModelSetsDiffer
  expr: count by (namespace, pool) (count by (namespace, pool, digest) (tagfleet_worker_model_info{ {{- $of -}} })) > 1
  for: 1h
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `Workers of {{ $labels.pool }} answer with different model sets.` | quote }}
    description: A reload or a roll-out did not reach all of them.
- alert: TagfleetJobsGetLost
  expr: sum by (namespace) (increase(tagfleet_scheduler_sweeps_total{ {{- $of -}} }[1h])) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "info" "rules" $rules) }}
  annotations:
    summary: Scrapes stopped moving, and their jobs were published again.
    description: Somewhere jobs get lost, or they take longer than sweep.after.
- alert: TagfleetDatabaseConnectionsShort
  expr: |
    min by (namespace, pod) (min_over_time(tagfleet_worker_database_connections{ {{- $of -}} ,state="awaited"}[5m])) > 0
    or min by (namespace, pod) (min_over_time(tagfleet_scheduler_database_connections{ {{- $of -}} ,state="awaited"}[5m])) > 0
  for: 5m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $labels.pod }} has waited for database connections for ten minutes.` | quote }}
    description: The database is slow, or database.pool_size is small.
# Where the kubelet's and cert-manager's series are there.
- alert: TagfleetDiskFull
  expr: |
    min by (namespace, persistentvolumeclaim)
      (kubelet_volume_stats_available_bytes{ {{- $near -}} ,persistentvolumeclaim!~"{{ join "|" $sets }}"} / kubelet_volume_stats_capacity_bytes{ {{- $near -}} }) < 0.1
  for: 10m
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "critical" "rules" $rules) }}
  annotations:
    summary: {{ `{{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left.` | quote }}
    description: A broker or a database without disk takes nothing any more.
- alert: TagfleetCertificateEnds
  expr: |
    min by (namespace, name) (
      label_replace(certmanager_certificate_expiration_timestamp_seconds{exported_ {{- $near -}} }, "namespace", "$1", "exported_namespace", "(.*)")
      or certmanager_certificate_expiration_timestamp_seconds{ {{- $near -}} ,exported_namespace=""}
    ) - time() < 7 * 86400
  for: 1h
  labels: {{- include "tagfleet.alertLabels" (dict "severity" "warning" "rules" $rules) }}
  annotations:
    summary: {{ `The certificate {{ $labels.name }} ends in {{ $value | humanizeDuration }}.` | quote }}
    description: After that nobody who checks it connects any more, the broker and the database included.
{{- end -}}

{{- define "tagfleet.alertLabels" }}
    severity: {{ .severity }}
    {{- with .rules.alertLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
