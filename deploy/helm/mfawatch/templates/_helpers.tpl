{{- define "mfawatch.labels" -}}
app.kubernetes.io/name: mfawatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "mfawatch.config" -}}
{{- $own := dict "journal" (dict "path" "/var/lib/mfawatch/mfawatch.db") "http" (dict "address" "0.0.0.0:9464") -}}
{{- if .Values.journal.kafka -}}
{{- $_ := set $own "journal" (merge (dict "type" "kafka" "path" "/var/lib/mfawatch/cache") .Values.journal.kafka) -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- fail "replicas: more than one share a journal in Kafka: set journal.kafka.brokers" -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end }}
{{- /* A pod has more time than the program takes to stop: sources and shards of replicas
stop within shutdown_timeout each. */ -}}
{{- define "mfawatch.grace" -}}
{{- $units := dict "d" 86400 "h" 3600 "m" 60 "s" 1 "ms" 0.001 -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" (.Values.config.shutdown_timeout | default "20s") -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $seconds = addf $seconds (mulf (trimSuffix $unit .) (get $units $unit | default 0)) -}}
{{- end -}}
{{- $seconds = mulf $seconds (ternary 2 1 (not (empty .Values.journal.kafka))) -}}
{{- if le (float64 .Values.terminationGracePeriodSeconds) $seconds -}}
{{- fail (printf "terminationGracePeriodSeconds: want more than the %vs that a pod may take to stop by config.shutdown_timeout, got %v" $seconds .Values.terminationGracePeriodSeconds) -}}
{{- end -}}
{{- .Values.terminationGracePeriodSeconds -}}
{{- end }}
