{{/* TLS of callers, and how probes speak it. */}}

{{/* Whether it is spoken; what is said of it by halves is refused. */}}
{{- define "gateway.tls" -}}
{{- with .Values.tls -}}
{{- if and (not .secret) (or .clientCa.secret .probeSecret .ca.secret .serverName) -}}
{{- fail "tls.secret: is required with anything else of tls" -}}
{{- end -}}
{{- if and .clientCa.secret (not .probeSecret) -}}
{{- fail "tls.probeSecret: is required with tls.clientCa, or no probe gets through" -}}
{{- end -}}
{{- if .secret -}}true{{- end -}}
{{- end -}}
{{- if and (not .Values.tls.secret) (regexMatch "(?m)^\\s*(\\[tls\\]|tls\\.)" .Values.config) -}}
{{- fail "config: say [tls] by the values of tls, so that probes speak it too" -}}
{{- end -}}
{{- end }}

{{- define "gateway.tls.env" -}}
- name: RERANK_GATEWAY__TLS__CERTIFICATE
  value: /run/tls/server/tls.crt
- name: RERANK_GATEWAY__TLS__KEY
  value: /run/tls/server/tls.key
- name: RERANK_GATEWAY__TLS__LISTENERS
  value: '["grpc", "http"]'
{{- if .Values.tls.clientCa.secret }}
- name: RERANK_GATEWAY__TLS__CLIENT_CA
  value: /run/tls/callers/ca.crt
- name: RERANK_GATEWAY__TLS__CLIENT_AUTH
  value: require
{{- end }}
{{- if .Values.tls.probeSecret }}
- name: RERANK_GATEWAY__CLIENT__CERTIFICATE
  value: /run/tls/probe/tls.crt
- name: RERANK_GATEWAY__CLIENT__KEY
  value: /run/tls/probe/tls.key
{{- end }}
{{- end }}

{{- define "gateway.tls.volumes" -}}
- name: tls
  projected:
    defaultMode: 0440
    sources:
      {{- include "gateway.tls.pair" (list .Values.tls.secret "server") | nindent 6 }}
      {{- with .Values.tls.clientCa }}
      {{- if .secret }}
      - secret:
          name: {{ .secret }}
          items:
            - key: {{ .key }}
              path: callers/ca.crt
      {{- end }}
      {{- end }}
      {{- with .Values.tls.probeSecret }}
      {{- include "gateway.tls.pair" (list . "probe") | nindent 6 }}
      {{- end }}
{{- end }}

{{/* Of a secret and a folder: its certificate and its key, there. */}}
{{- define "gateway.tls.pair" -}}
{{- $folder := index . 1 -}}
- secret:
    name: {{ index . 0 }}
    items:
      {{- range list "tls.crt" "tls.key" }}
      - key: {{ . }}
        path: {{ $folder }}/{{ . }}
      {{- end }}
{{- end }}

{{/* Of a context, a service (empty: the whole gateway) and a timeout in seconds: how a probe asks. */}}
{{- define "gateway.probe" -}}
{{- $service := index . 1 -}}
{{- if include "gateway.tls" (index . 0) -}}
exec:
  command:
    - rerank-gateway
    - health
    {{- with $service }}
    - --service={{ . }}
    {{- end }}
# Starting Python takes a second, and more while the pod is busy.
timeoutSeconds: 10
{{- else -}}
grpc:
  port: 50051
  {{- with $service }}
  service: {{ . }}
  {{- end }}
timeoutSeconds: {{ index . 2 }}
{{- end -}}
{{- end }}
