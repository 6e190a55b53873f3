{{/* One pod, the same of a Deployment and of a StatefulSet. */}}
{{- define "gateway.pod" -}}
{{- $tls := eq (include "gateway.tls" .) "true" -}}
metadata:
  labels:
    {{- include "gateway.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The configuration is read once, at the start.
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "gateway.fullname" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # It leaves the balancers, finishes its calls, and has a moment to end.
  terminationGracePeriodSeconds: {{ add .Values.server.leaveSeconds (ceil .Values.server.graceSeconds) 5 }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: gateway
      image: {{ include "gateway.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      env:
        - name: RERANK_GATEWAY_CONFIG
          value: /etc/rerank-gateway/gateway.toml
        - name: RERANK_GATEWAY__SERVER__ADDRESS
          value: "0.0.0.0:50051"
        - name: RERANK_GATEWAY__SERVER__WORKERS
          value: {{ .Values.server.workers | quote }}
        - name: RERANK_GATEWAY__SERVER__GRACE_S
          value: {{ .Values.server.graceSeconds | quote }}
        {{- if .Values.server.allowAnonymous }}
        - name: RERANK_GATEWAY__SERVER__ALLOW_ANONYMOUS
          value: "true"
        {{- end }}
        {{- if .Values.metrics.allowAnonymous }}
        - name: RERANK_GATEWAY__TELEMETRY__ALLOW_ANONYMOUS
          value: "true"
        {{- end }}
        - name: RERANK_GATEWAY__TELEMETRY__METRICS_ADDRESS
          value: "0.0.0.0:{{ .Values.metrics.port }}"
        {{- if .Values.http.enabled }}
        - name: RERANK_GATEWAY__HTTP__ADDRESS
          value: "0.0.0.0:{{ .Values.http.port }}"
        {{- end }}
        {{- if ne .Values.collections.engine "configured" }}
        - name: RERANK_GATEWAY__RETRIEVAL__ENGINE
          value: {{ .Values.collections.engine }}
        {{- end }}
        {{- if include "gateway.isOne" . }}
        - name: RERANK_GATEWAY__RETRIEVAL__PATH
          value: /var/lib/rerank-gateway/collections
        {{- end }}
        {{- if $tls }}
        {{- include "gateway.tls.env" . | nindent 8 }}
        {{- end }}
        {{- range $name, $value := .Values.env }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- range $name, $from := .Values.secrets.env }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef:
              name: {{ $from.secret }}
              key: {{ $from.key }}
        {{- end }}
      ports:
        - name: grpc
          containerPort: 50051
        {{- if .Values.http.enabled }}
        - name: http
          containerPort: {{ .Values.http.port }}
        {{- end }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
      # Models may have to be downloaded, and collections opened: five minutes.
      startupProbe:
        {{- include "gateway.probe" (list . "" 2) | nindent 8 }}
        {{- if $tls }}
        periodSeconds: 5
        failureThreshold: 60
        {{- else }}
        periodSeconds: 2
        failureThreshold: 150
        {{- end }}
      readinessProbe:
        {{- include "gateway.probe" (list . "rerank.v1.RerankService" 2) | nindent 8 }}
        periodSeconds: {{ ternary 10 5 $tls }}
        failureThreshold: 2
      # Slower to give up than readiness: a full process is not a dead one.
      livenessProbe:
        {{- include "gateway.probe" (list . "" 5) | nindent 8 }}
        periodSeconds: {{ ternary 20 10 $tls }}
        failureThreshold: {{ ternary 3 6 $tls }}
      {{- if .Values.server.leaveSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.server.leaveSeconds }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/rerank-gateway
          readOnly: true
        - name: data
          mountPath: /var/lib/rerank-gateway
        - name: tmp
          mountPath: /tmp
        {{- if $tls }}
        - name: tls
          mountPath: /run/tls
          readOnly: true
        {{- end }}
        {{- if .Values.secrets.files }}
        - name: secrets
          mountPath: /run/secrets/rerank-gateway
          readOnly: true
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "gateway.fullname" . }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.scratch.size }}
    {{- if $tls }}
    {{- include "gateway.tls.volumes" . | nindent 4 }}
    {{- end }}
    {{- if not (and (include "gateway.isOne" .) .Values.collections.persistence.enabled) }}
    - name: data
      emptyDir:
        sizeLimit: {{ .Values.scratch.size }}
    {{- end }}
    {{- if .Values.secrets.files }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $file, $from := .Values.secrets.files }}
          - secret:
              name: {{ $from.secret }}
              items:
                - key: {{ $from.key }}
                  path: {{ $file }}
          {{- end }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if not (include "gateway.isOne" .) }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "gateway.selector" $ | nindent 10 }}
      # Each version for itself, so that a rollout ends evenly.
      matchLabelKeys: [pod-template-hash]
    {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
