{{/* What things are called, and how they find each other. */}}

{{- define "gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The same of every release, and what alerts and dashboards know as the job. */}}
{{- define "gateway.name" -}}
rerank-gateway
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pod that `helm test` runs: not the selector, since no calls must be sent there. */}}
{{- define "gateway.tester" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}-health
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "gateway.image" -}}
{{- $repository := required "image.repository: where the image is that deploy/container builds" .Values.image.repository -}}
{{- with .Values.image.digest -}}
{{ printf "%s@%s" $repository . }}
{{- else -}}
{{ printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end -}}
{{- end }}

{{/* Its collections are a folder that a single pod owns. */}}
{{- define "gateway.isOne" -}}
{{- if eq .Values.collections.engine "embedded" -}}true{{- end -}}
{{- end }}
