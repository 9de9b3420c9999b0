{{- define "mfawatch.labels" -}}
app.kubernetes.io/name: mfawatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "mfawatch.config" -}}
{{- $own := dict "journal" (dict "path" "/var/lib/mfawatch/mfawatch.db") "http" (dict "address" "0.0.0.0:9464") -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end }}
