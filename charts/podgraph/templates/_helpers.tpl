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

{{- /* The default storage, in the form that the operator reads; empty if there is none. */ -}}
{{- define "podgraph.storage" -}}
{{- $storage := .Values.storage -}}
{{- if and $storage.url $storage.createClaim.enabled -}}
{{- fail "storage.url and storage.createClaim.enabled are mutually exclusive; set only one of them" -}}
{{- else if $storage.url -}}
{{- $found := dict "url" $storage.url "retain" $storage.retain "logs" $storage.logs -}}
{{- if $storage.secretName -}}{{- $_ := set $found "secretRef" (dict "name" $storage.secretName) -}}{{- end -}}
{{- toJson $found -}}
{{- else if $storage.createClaim.enabled -}}
{{- $claim := omit $storage.createClaim "enabled" -}}
{{- toJson (merge (dict "claimRef" (dict "name" "podgraph-storage") "retain" $storage.retain "logs" $storage.logs) $claim) -}}
{{- end -}}
{{- end }}

{{- /* The operator's permissions, in all namespaces or in each of watchNamespaces. */ -}}
{{- define "podgraph.rules" -}}
- {apiGroups: [podgraph.dev], resources: [jobs], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [podgraph.dev], resources: [jobdefinitions, jobschedules, jobsensors], verbs: [get, list, watch]}
- {apiGroups: [podgraph.dev], resources: [jobs/status, jobdefinitions/status, jobschedules/status, jobsensors/status], verbs: [patch]}
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch, create, patch, delete, deletecollection]}
# Steps write their results to their logs; the graph of large code is in the log of its resolve pod.
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
# A Job's code may come from a ConfigMap, and is copied to one, as is the step runtime. Garbage collection deletes them
# with their owner. The operator deletes the code of a changed definition and replaced state of a sensor earlier.
- {apiGroups: [""], resources: [configmaps], verbs: [get, create, delete]}
# To check that the claim of a Job's storage exists, and to create the one of storage.createClaim.
- {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [{{ if .Values.storage.createClaim.enabled }}get, create{{ else }}get{{ end }}]}
- {apiGroups: [""], resources: [events], verbs: [create]}
# The key of a Job's pods. Its name cannot be guessed, so the operator never reads it.
- {apiGroups: [""], resources: [secrets], verbs: [create]}
{{- range .Values.sensors.watch }}
- {apiGroups: {{ toJson .apiGroups }}, resources: {{ toJson .resources }}, verbs: [list, watch]}
{{- end }}
{{- if .Values.sensors.http.readSecrets }}
- {apiGroups: [""], resources: [secrets], verbs: [get]}
{{- end }}
{{- end }}

{{- /* The namespace of the page, empty for all. */ -}}
{{- define "podgraph.uiNamespace" -}}
{{- $watched := .Values.watchNamespaces -}}
{{- if and $watched .Values.ui.namespace (not (has .Values.ui.namespace $watched)) -}}
{{- fail (printf "ui.namespace is %s, which is not in watchNamespaces; the operator would not run its Jobs" .Values.ui.namespace) -}}
{{- else if and (gt (len $watched) 1) (not .Values.ui.namespace) -}}
{{- fail "ui.enabled with several watchNamespaces requires ui.namespace: the page shows either one namespace or the whole cluster" -}}
{{- end -}}
{{- .Values.ui.namespace | default (join "" $watched) -}}
{{- end }}
