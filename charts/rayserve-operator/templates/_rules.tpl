{{- /*
What the operator may do in each namespace that it watches. Plain YAML, the same in the ClusterRole and in the Roles, so
that a test can hold it against what the code does. No `update`: the operator writes by POST, apply and patch alone.
*/}}
{{- define "rayserve-operator.rules" -}}
# What users write is only read, and afresh before a service is stopped for an edit (Recreate). KubeRay's finalizer, which
# nobody else would take off, is patched away.
- apiGroups: [ray.io]
  resources: [rayservices]
  verbs: [get, list, watch, patch]
- apiGroups: [ray.io]
  resources: [rayservices/status, rayclusters/status]
  verbs: [patch]
# Asked for by clusters that check whether an owner reference may block deletion.
- apiGroups: [ray.io]
  resources: [rayservices/finalizers, rayclusters/finalizers]
  verbs: [update]
# What the operator makes.
- apiGroups: [ray.io]
  resources: [rayclusters]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
# These go with their owner, by Kubernetes' own garbage collection. `get`, here and below, is for a look before the first
# apply: what somebody else has made under that name is left alone.
- apiGroups: [""]
  resources: [serviceaccounts, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch]
- apiGroups: [cert-manager.io]
  resources: [issuers, certificates]
  verbs: [get, list, watch, create, patch]
# These go when they are no longer wanted.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [scheduling.volcano.sh, scheduling.x-k8s.io]
  resources: [podgroups]
  verbs: [get, list, watch, create, patch, delete]
# The Gateway and the HTTPRoute that share traffic. One of the user's is only touched if its RayService names it.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, httproutes]
  verbs: [get, create, patch, delete]
# Ray's autoscaler gets a Role of its own in each cluster with autoscaling. Only what the operator holds itself can be
# granted, and `patch` of pods/resize is held for nothing else.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# Which pods take traffic.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
# Whether the namespace itself is on its way out.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /*
Secrets of clusters with authOptions.mode token, made once and presented to Ray, and of those with tlsOptions, made empty
for cert-manager to fill.
*/}}
{{- define "rayserve-operator.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
{{- end }}

{{- /*
What belongs to no namespace that is watched: nodes tell whether that of a silent head is lost, the definitions which
fields there are, and KubeRay's Lease whether a KubeRay is at work.
*/}}
{{- define "rayserve-operator.clusterRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [rayservices.ray.io, rayclusters.ray.io]
  verbs: [get]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [ray-operator-leader]
  verbs: [list]
{{- end }}

{{- /*
The Lease that says which replica acts. `create` cannot be told the name of what is not there yet.
*/}}
{{- define "rayserve-operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "rayserve-operator.fullname" . }}]
  verbs: [get, patch]
{{- end }}

{{- /*
The Secret with the webhook's certificate. The chart makes it, empty, so that nothing is to be created and it goes with
the release; or cert-manager does, and then it is only read.
*/}}
{{- define "rayserve-operator.certificateRules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "rayserve-operator.webhookName" . }}]
  verbs: [get]
{{- end }}

{{- define "rayserve-operator.renewalRules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "rayserve-operator.webhookName" . }}]
  verbs: [patch]
{{- end }}

{{- /*
The one configuration that is told which certificate to trust.
*/}}
{{- define "rayserve-operator.webhookRules" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ include "rayserve-operator.clusterName" . }}]
  verbs: [get, patch]
{{- end }}
