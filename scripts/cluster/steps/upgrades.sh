# shellcheck shell=bash
# helm upgrade with jobs in flight, to other settings, another model set and the schema of a next release; helm rollback; helm uninstall.

step_other_settings() {
  with_jobs_in_flight 3000 deploy --set pools.cpu.config.work.pictures=64
  kube exec "deployment/$release-worker-cpu" --container worker -- tagfleet-worker config | grep -x 'pictures = 64' >/dev/null ||
    fail 'the workers have not got the setting'
}

second_set_options() {
  options=(
    --set "pools.cpu.models.source=url,pools.cpu.models.path=$second_set"
    --set "pools.cpu.models.url.address=$origin/sets/$second_set.tar.gz,pools.cpu.models.url.sha256=$1"
  )
}

step_other_model_set() {
  local options sha256 sets scrape
  sha256=$(tools cat "/site/sets/$second_set.sha256")
  second_set_options "$sha256"
  with_jobs_in_flight 3000 deploy "${options[@]}"
  sets=$(metrics_of worker 9090 | sed -n 's/^tagfleet_worker_model_info{.*set="\([^"]*\)".* 1$/\1/p' | sort -u)
  expect "the workers answer with $second_set, not with $sets" [ "$sets" = "$second_set" ]
  scrape=$(new_scrape)
  publish "$scrape" 50
  settled "$scrape" 50
  expect 'its rows are of that set' [ "$(sql "SELECT string_agg(DISTINCT model_set, ',') FROM tagged_images WHERE scrape_id = '$scrape'")" = "$second_set" ]
}

newest_migration() { sql 'SELECT max(version) FROM refinery_schema_history'; }

# The hook of the next release, by hand: twice, beside the fleet of this one, which works on.
step_next_schema_beside_old_pods() {
  local before
  before=$(pods_of worker | sort)
  with_jobs_in_flight 2000 migrate_twice
  expect 'no pod was replaced' [ "$before" = "$(pods_of worker | sort)" ]
  expect 'the schema is that of the next release' [ "$(newest_migration)" = "$next_migration" ]
}
migrate_twice() {
  local turn options fleet_tag=$tag-next hook=$state/cluster-hook.yaml
  fleet_options
  for turn in first second; do
    helm template "$release" "$chart" --namespace "$namespace" --kube-version "$(kube_version)" "${options[@]}" --show-only templates/migrations.yaml |
      sed -E "s/(name|serviceAccountName): $release-migrate\$/\1: by-hand/" >"$hook"
    quietly kube apply --filename "$hook"
    wait_for 120 "the $turn migration" quietly kube wait --for=condition=Complete job/by-hand --timeout=1s
    quietly kube delete --filename "$hook"
  done
}

step_next_release() {
  fleet_tag=$tag-next with_jobs_in_flight 3000 deploy
  expect 'the pods are those of the next release' [ "$(images_of worker)" = "$next_image" ]
}
images_of() { kube get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component=$1" --output 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | sort -u; }

# Pods of this release again, on the schema of the next one.
step_rollback() {
  with_jobs_in_flight 3000 quietly helm --namespace "$namespace" rollback "$release" --wait --timeout 5m
  expect 'the pods are those before' [ "$(images_of worker)" = "$fleet_image" ]
  expect 'the schema has stayed' [ "$(newest_migration)" = "$next_migration" ]
}

# README.md of the chart says what is left.
step_uninstall() {
  withdraw
  wait_for 90 'all is gone but the pod of helm test' nothing_but_the_test_is_left
  expect 'the tables are left' [ "$(sql 'SELECT count(*) > 0 FROM scrapes')" = t ]
  expect 'the queues are left' [ "$(queues length)" -gt 5 ]
}
# That pod may have gone with a drain.
nothing_but_the_test_is_left() {
  local kinds=all,configmap,secret,serviceaccount,networkpolicy,pdb,pvc,ingress kind left
  for kind in podmonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com scaledobjects.keda.sh triggerauthentications.keda.sh; do
    ! kubectl get crd "$kind" >/dev/null 2>&1 || kinds+=,$kind
  done
  left=$(kube get "$kinds" --selector "app.kubernetes.io/instance=$release" --output name) || return 1
  [[ -z $left || $left == "pod/$release-test" ]]
}
