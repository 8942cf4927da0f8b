{{/* The policy as a map. */}}
{{- define "mcp-auth.policy" -}}
{{- $policy := .Values.policy -}}
{{- if kindIs "string" $policy -}}
{{- $policy = fromYaml $policy -}}
{{- if hasKey $policy "Error" -}}
{{- fail (printf "the policy is no YAML: %s" (get $policy "Error")) -}}
{{- end -}}
{{- end -}}
{{- if not (or (hasKey $policy "resource") (hasKey $policy "policies")) -}}
{{- fail "the policy has neither `resource` nor `policies`: check it with `mcp-auth check`" -}}
{{- end -}}
{{- toYaml $policy -}}
{{- end -}}

{{/* The settings of the filter. */}}
{{- define "mcp-auth.module" -}}
{{- $module := (.Files.Get "files/module.yaml" | fromYaml).spec -}}
{{- $_ := set $module.vm_config "environment_variables" (dict "host_env_keys" .Values.variables) -}}
{{- $_ := set $module.vm_config.code.remote "sha256" .Values.module.sha256 -}}
{{- $_ := set $module.vm_config.code.remote.http_uri "uri" .Values.module.url -}}
{{- toYaml $module -}}
{{- end -}}

{{/* A value that this proxy needs. */}}
{{- define "mcp-auth.needed" -}}
{{- $name := index . 1 -}}
{{- $value := index . 2 -}}
{{- required (printf "%s needs %s" (index . 0).Values.proxy $name) $value -}}
{{- end -}}
