{{- define "maskline.fullname" -}}
{{- .Values.fullnameOverride | default (.Release.Name | trunc 40 | trimSuffix "-") -}}
{{- end }}

{{- define "maskline.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "maskline.labels" -}}
{{ include "maskline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "maskline.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* A value as a setting's text: Helm reads numbers as floats, and would write 26214400 as 2.62144e+07. */}}
{{- define "maskline.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . }}{{ printf "%.0f" . }}{{ else }}{{ . | toString }}{{ end -}}
{{- else -}}
{{ . | toString }}
{{- end -}}
{{- end }}

{{/* The settings, all of them text: those of `config`, and those that other values stand for. */}}
{{- define "maskline.settings" -}}
{{- $settings := dict "SECRETS_DIR" "/run/secrets/maskline" "HEALTH_PORT" "8004" "PORT" "8003" "TEMP_FOLDER" "/tmp" }}
{{- if or .Values.existingSecret .Values.secrets | not }}{{ $settings = omit $settings "SECRETS_DIR" }}{{ end }}
{{- with .Values.models.persistentVolumeClaim }}{{ $_ := set $settings "MODEL_FOLDER" "/models" }}{{ end }}
{{- if .Values.kafka.tls.existingSecret }}
{{- $_ := set $settings "KAFKA_CA_FILE" "/run/secrets/kafka-tls/ca.crt" }}
{{- if .Values.kafka.tls.clientCertificate }}
{{- $_ := set $settings "KAFKA_CERT_FILE" "/run/secrets/kafka-tls/tls.crt" }}
{{- $_ := set $settings "KAFKA_KEY_FILE" "/run/secrets/kafka-tls/tls.key" }}
{{- end }}
{{- end }}
{{- range $name, $value := dict "KAFKA_BOOTSTRAP_SERVERS" .Values.kafka.bootstrapServers "S3_ENDPOINT_URL" .Values.s3.endpointUrl "MASK_ASSET_URL" .Values.callback.url }}
{{- if $value }}{{ $_ := set $settings $name $value }}{{ end }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $settings $name (include "maskline.text" $value) }}{{ end }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{- define "maskline.env" -}}
{{- range $name, $value := include "maskline.settings" . | fromYaml }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: ORT_DISABLE_TELEMETRY
  value: "1"
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Secrets are files and never subPath, so that a changed one is taken up while the pod runs. */}}
{{- define "maskline.volumes" -}}
- name: temp
  emptyDir:
    sizeLimit: {{ .Values.tempSizeLimit }}
{{- if or .Values.existingSecret .Values.secrets }}
- name: secrets
  secret:
    secretName: {{ .secret | default .Values.existingSecret | default (include "maskline.fullname" .) }}
    defaultMode: 0440
{{- end }}
{{- with .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.models.persistentVolumeClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ . }}
    readOnly: true
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "maskline.volumeMounts" -}}
{{- $settings := include "maskline.settings" . | fromYaml -}}
- name: temp
  mountPath: {{ $settings.TEMP_FOLDER }}
{{- if or .Values.existingSecret .Values.secrets }}
- name: secrets
  mountPath: {{ $settings.SECRETS_DIR }}
  readOnly: true
{{- end }}
{{- if .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  mountPath: /run/secrets/kafka-tls
  readOnly: true
{{- end }}
{{- if .Values.models.persistentVolumeClaim }}
- name: models
  mountPath: {{ $settings.MODEL_FOLDER }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What every container has in common, from its image to what it may do. */}}
{{- define "maskline.container" -}}
image: {{ include "maskline.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  {{- include "maskline.env" . | nindent 2 }}
{{- end }}

{{/* The labels and annotations of a pod. */}}
{{- define "maskline.podMetadata" -}}
labels:
  {{- include "maskline.labels" . | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every pod has in common. */}}
{{- define "maskline.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pods of one component prefer a node for each. */}}
{{- define "maskline.antiAffinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "maskline.selectorLabels" . | nindent 12 }}
            app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Longer than what the process takes to end in order, so that it isn't killed while it settles. */}}
{{- define "maskline.grace" -}}
{{- $settings := include "maskline.settings" . | fromYaml -}}
{{- add (ceil ($settings.SHUTDOWN_GRACE_SECONDS | default "25" | float64)) 20 -}}
{{- end }}

{{/* The port of a URL, or that of its scheme. */}}
{{- define "maskline.port" -}}
{{- $parts := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $parts.host | trimPrefix ":" -}}
{{- $port | default (ternary "80" "443" (eq $parts.scheme "http")) -}}
{{- end }}

{{/* Ports that the pods reach by their settings, sorted, as a list in YAML. */}}
{{- define "maskline.egressPorts" -}}
{{- $settings := include "maskline.settings" . | fromYaml -}}
{{- $ports := list "443" -}}
{{- range $url := list $settings.S3_ENDPOINT_URL $settings.MASK_ASSET_URL $settings.KAFKA_OAUTH_TOKEN_URL $settings.OTEL_EXPORTER_OTLP_ENDPOINT $settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT }}
{{- if $url }}{{ $ports = append $ports (include "maskline.port" $url) }}{{ end }}
{{- end }}
{{- range $origin := splitList "," ($settings.CALLBACK_ALLOWED_ORIGINS | default "") }}
{{- with trim $origin }}{{ $ports = append $ports (include "maskline.port" .) }}{{ end }}
{{- end }}
{{- if .Values.networkPolicy.kafkaPorts }}
{{- range .Values.networkPolicy.kafkaPorts }}{{ $ports = append $ports (include "maskline.text" .) }}{{ end }}
{{- else }}
{{- range $broker := splitList "," ($settings.KAFKA_BOOTSTRAP_SERVERS | default "localhost:9092") }}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trim $broker) | trimPrefix ":" | default "9092") }}
{{- end }}
{{- end }}
{{- range .Values.networkPolicy.modelServerPorts }}{{ $ports = append $ports (include "maskline.text" .) }}{{ end }}
{{- $ports | uniq | sortAlpha | toYaml }}
{{- end }}

{{/* What a NetworkPolicy lets out. */}}
{{- define "maskline.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    {{- range include "maskline.egressPorts" . | fromYamlArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
