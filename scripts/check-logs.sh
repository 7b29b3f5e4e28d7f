#!/usr/bin/env bash
# check-logs.sh   log messages start in lower case and have no full stop, so that they read alike and are found by grep
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Perl is part of every Debian. The pattern takes the whole macro call, strings and nested parentheses included; the
# message is the string that follows "(" or ",", and not "name =" or "target:". Names may keep their capital.
# shellcheck disable=SC2016
git ls-files -z --cached --others --exclude-standard -- '*.rs' | xargs -0 -r perl -0777 -ne '
  our $failed;
  our $names = qr/RabbitMQ|PostgreSQL|Postgres|ONNX|Kubernetes|Helm|Grafana/;
  while (/\b(?:trace|debug|info|warn|error)!\s*(\((?:[^()"]++|"(?:[^"\\]++|\\.)*+"|(?1))*+\))/gs) {
    my ($call, $line) = ($1, 1 + (substr($_, 0, $-[0]) =~ tr/\n//));
    $call = substr($call, 1, -1);
    # Without what is nested: the arguments of a call are not messages.
    $call =~ s/("(?:[^"\\]++|\\.)*+")|(\((?:[^()"]++|"(?:[^"\\]++|\\.)*+"|(?2))*+\))/$1 \/\/ ""/gse;
    while ($call =~ /(?:^|,)\s*"((?:[^"\\]++|\\.)*+)"/gs) {
      my $message = $1;
      if (($message =~ /^[A-Z][a-z]/ && $message !~ /^$names/) || $message =~ /(?<!\.)\.$/) {
        print STDERR "$ARGV:$line: \"$message\": start in lower case, end without a full stop\n";
        $failed = 1;
      }
    }
  }
  END { exit($failed ? 1 : 0) }'
