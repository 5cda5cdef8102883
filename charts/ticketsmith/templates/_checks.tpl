{{/* What the schema cannot say: values that do not go together. Each sentence names the values and the remedy. */}}
{{- define "ticketsmith.checks" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount is more than 1 without leaderElection.enabled: set leaderElection.enabled=true, so that one replica acts and the others stand by, or replicaCount=1" -}}
{{- end -}}
{{- if and .Values.prices.existingConfigMap .Values.prices.entries -}}
{{- fail "prices.entries and prices.existingConfigMap are both given: keep one of them" -}}
{{- end -}}
{{- if and .Values.prices.entries (not .Values.prices.currency) -}}
{{- fail "prices.entries are given without prices.currency: add it, e.g. prices.currency=USD" -}}
{{- end -}}
{{- if and .Values.artifacts.persistentVolumeClaim (not (hasPrefix "file://" .Values.artifacts.uri)) -}}
{{- fail "artifacts.persistentVolumeClaim is given without a file:// address in artifacts.uri: set it to where the claim is mounted, e.g. artifacts.uri=file:///artifacts" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true, and everything would be counted twice: keep one of them" -}}
{{- end -}}
{{- if and .Values.networkPolicy.rounds.enabled (not (include "ticketsmith.roundNamespaces" .)) -}}
{{- fail "networkPolicy.rounds.enabled is true, but the namespaces of the rounds are not known: name them in networkPolicy.rounds.namespaces" -}}
{{- end -}}
{{- if and .Values.tracing.enabled (not .Values.tracing.endpoint) -}}
{{- fail "tracing.enabled is true without tracing.endpoint: name the collector, e.g. tracing.endpoint=http://collector.observability:4318" -}}
{{- end -}}
{{- end }}
