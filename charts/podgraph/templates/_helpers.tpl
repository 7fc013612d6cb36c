{{- define "podgraph.name" -}}
{{- if contains "podgraph" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-podgraph" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "podgraph.selector" -}}
app.kubernetes.io/name: podgraph
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "podgraph.labels" -}}
{{ include "podgraph.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: podgraph
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "podgraph.uiSelector" -}}
app.kubernetes.io/name: podgraph
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: ui
{{- end }}

{{- define "podgraph.uiLabels" -}}
{{ include "podgraph.uiSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: podgraph
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The storage of Jobs without spec.storage, as the operator reads it; empty when there is none. */ -}}
{{- define "podgraph.storage" -}}
{{- $storage := .Values.storage -}}
{{- if and $storage.url $storage.createClaim.enabled -}}
{{- fail "storage.url and storage.createClaim.enabled are both set; only one of them is allowed" -}}
{{- else if $storage.url -}}
{{- $found := dict "url" $storage.url "retain" $storage.retain "logs" $storage.logs -}}
{{- if $storage.secretName -}}{{- $_ := set $found "secretRef" (dict "name" $storage.secretName) -}}{{- end -}}
{{- toJson $found -}}
{{- else if $storage.createClaim.enabled -}}
{{- $claim := omit $storage.createClaim "enabled" -}}
{{- toJson (merge (dict "claimRef" (dict "name" "podgraph-storage") "retain" $storage.retain "logs" $storage.logs) $claim) -}}
{{- end -}}
{{- end }}
