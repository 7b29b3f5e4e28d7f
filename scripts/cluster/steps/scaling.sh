# shellcheck shell=bash
# KEDA: no pods, pods by the backlog, fewer while there is still work, no pods. The drains cost nothing: no job is delivered once more.

step_scaling() {
  if ! kubectl get crd scaledobjects.keda.sh >/dev/null 2>&1; then
    say '  skipped: no KEDA here'
    return
  fi
  # A pod for 1,800 jobs, some 36 seconds of a worker: longer than it takes to see that fewer would do.
  local scaling=pools.cpu.scaling
  deploy --set "$scaling.type=keda,$scaling.min=0,$scaling.max=3,$scaling.imagesPerSecond=$images_per_second" \
    --set-json "$scaling.drainMinutes={\"express\": 0.6, \"standard\": 0.6, \"bulk\": 0.6}" \
    --set "$scaling.scaleDown.stabilizationSeconds=0,$scaling.scaleDown.percent=50,$scaling.scaleDown.everySeconds=15" \
    --set "$scaling.keda.pollingSeconds=5,$scaling.keda.cooldownSeconds=30,$scaling.keda.prometheus=$prometheus_url"
  wait_for 180 'without work, no workers' no_workers

  local scrape count=9000 before wanted jobs most=0 fewer_at_work=0 deadline=$((SECONDS + 300))
  before=$(redeliveries)
  scrape=$(new_scrape)
  publish "$scrape" "$count" "${scrape%%-*}="
  wait_for 120 'a worker comes' has_workers 1
  until is_tagged "$scrape"; do
    ((SECONDS < deadline)) || fail "$count images are not tagged after 300 s, with $(workers_ready) workers"
    wanted=$(workers_wanted)
    jobs=$(job_messages)
    ((wanted <= most)) || most=$wanted
    # Asked for afterwards: there was at least so much work when the pods went.
    ((wanted >= most || jobs == 0)) || fewer_at_work=1
  done
  settled "$scrape" "$count"
  say "  from 0 to $most workers, and $(workers_wanted) at the end of the work"
  expect "more than one worker, not $most" [ "$most" -gt 1 ]
  expect 'pods went while there was work' [ "$fewer_at_work" = 1 ]
  wait_for 240 'without work, no workers' no_workers
  local after
  after=$(redeliveries)
  expect "no job was delivered once more, but $((after - before)) were" [ "$before" = "$after" ]
  # As it was, for the steps that follow.
  deploy
  wait_for 120 'two workers' has_workers 2
}
no_workers() { [[ -z $(pods_of worker) && $(workers_wanted) == 0 ]]; }
has_workers() { (($(workers_ready || say 0) >= $1)); }
