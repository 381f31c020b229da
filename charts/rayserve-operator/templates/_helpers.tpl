{{- define "rayserve-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "rayserve-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "rayserve-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "rayserve-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "rayserve-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "rayserve-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "rayserve-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "rayserve-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rayserve-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "rayserve-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "rayserve-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "rayserve-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "rayserve-operator.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "rayserve-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "rayserve-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /*
What is the whole cluster's, and not in a namespace: the release's keeps two releases apart.
*/}}
{{- define "rayserve-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "rayserve-operator.fullname" .) }}
{{- end }}

{{- /*
Of the webhook: its Service, the Secret with its certificate, and the Role for that.
*/}}
{{- define "rayserve-operator.webhookName" -}}
{{- printf "%s-webhook" (include "rayserve-operator.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- define "rayserve-operator.env" -}}
- name: RAYSERVE_WATCH_NAMESPACES
  value: {{ join "," (uniq .Values.watchNamespaces) | quote }}
- name: RAYSERVE_MANAGE
  value: {{ .Values.manage }}
- name: RAYSERVE_SHARD
  value: {{ .Values.shard | quote }}
- name: RAYSERVE_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain | quote }}
- name: RAYSERVE_OPERATOR_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: RAYSERVE_LEASE_NAME
  value: {{ ternary (include "rayserve-operator.fullname" .) "" .Values.leaderElection | quote }}
- name: RAYSERVE_IDENTITY
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: RAYSERVE_DEFAULT_CONTAINER_ENV
  value: {{ toJson .Values.defaultContainerEnv | quote }}
- name: RAYSERVE_BATCH_SCHEDULER
  value: {{ .Values.batchScheduler | quote }}
- name: RAYSERVE_NODE_LOST_AFTER
  value: {{ .Values.nodeLostAfter | quote }}
- name: RAYSERVE_WEBHOOK_NAME
  value: {{ ternary (include "rayserve-operator.webhookName" .) "" .Values.webhook.enabled | quote }}
- name: RAYSERVE_WEBHOOK_CONFIGURATION
  value: {{ ternary "" (include "rayserve-operator.clusterName" .) .Values.webhook.certManager.enabled | quote }}
- name: RAYSERVE_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: RAYSERVE_LOG_FORMAT
  value: {{ .Values.logFormat | quote }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
