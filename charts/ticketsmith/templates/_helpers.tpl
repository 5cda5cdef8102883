{{/* What everything of this release is named after: ticketsmith for a release called ticketsmith. */}}
{{- define "ticketsmith.base" -}}
{{- $name := .Values.nameOverride | default "ticketsmith" -}}
{{- $release := trimSuffix "-operator" .Release.Name -}}
{{- contains $name $release | ternary $release (printf "%s-%s" $release $name) | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* The operator's name. */}}
{{- define "ticketsmith.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-operator" (include "ticketsmith.base" .)) | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "ticketsmith.selectorLabels" -}}
app.kubernetes.io/name: ticketsmith-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ticketsmith.labels" -}}
{{ include "ticketsmith.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ticketsmith
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Reference of an image; a digest wins over a tag. Called with (list image appVersion). */}}
{{- define "ticketsmith.image" -}}
{{- $image := first . -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (last .) }}
{{- end -}}
{{- end }}

{{- define "ticketsmith.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "ticketsmith.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* Name of the ConfigMap with the price list; empty if there is none. */}}
{{- define "ticketsmith.pricesConfigMap" -}}
{{- if .Values.prices.existingConfigMap -}}
{{ .Values.prices.existingConfigMap }}
{{- else if .Values.prices.entries -}}
{{ include "ticketsmith.base" . }}-prices
{{- end -}}
{{- end }}

{{/* Fail unless the cluster serves a kind. Called with (list root value kind), e.g. metrics.podMonitor.enabled. */}}
{{- define "ticketsmith.requireKind" -}}
{{- $root := index . 0 -}}
{{- $value := index . 1 -}}
{{- $kind := index . 2 -}}
{{- if not ($root.Capabilities.APIVersions.Has $kind) -}}
{{- fail (printf "%s is true, but the cluster does not serve %s: install what brings that kind, or set %s=false (with helm template, add --api-versions %s)" $value $kind $value $kind) -}}
{{- end -}}
{{- end }}
