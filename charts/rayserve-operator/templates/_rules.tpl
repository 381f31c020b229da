{{- /*
What the operator may do in each namespace that it watches. Plain YAML, the same in the ClusterRole and in the
Roles, so that a test can read it without Helm. No `update`: the operator writes by POST, apply and patch alone.
*/}}
{{- define "rayserve-operator.rules" -}}
# What users write: read, and never made or removed. `finalizers` is asked for by clusters that check whether
# an owner reference may block deletion.
- apiGroups: [ray.io]
  resources: [rayservices]
  verbs: [get, list, watch, patch]
- apiGroups: [ray.io]
  resources: [rayservices/status, rayclusters/status]
  verbs: [get, patch]
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
# These go with their owner, by Kubernetes' own garbage collection.
- apiGroups: [""]
  resources: [serviceaccounts, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch]
# These go when they are no longer wanted.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [cert-manager.io]
  resources: [issuers, certificates]
  verbs: [get, list, watch, create, patch]
- apiGroups: [scheduling.volcano.sh, scheduling.x-k8s.io]
  resources: [podgroups]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
# Which pods take traffic.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Ray's autoscaler gets a Role of its own in each cluster with autoscaling: pods get, list, watch and patch,
# pods/resize patch, rayclusters get and patch. Only what the operator holds itself can be granted.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
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
