package config_test

import (
	"fmt"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

func ExampleLoad() {
	file := []byte(`
sources:
  trail: {type: files, paths: [/var/log/cloudtrail]}
sinks:
  console: {type: stdout, format: text}
`)
	c, err := config.Load("mfawatch.yaml", file, []string{"MFAWATCH_LOG__LEVEL=debug"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Log.Level, c.Retention, c.Sinks["console"].Reader())

	_, err = config.Load("mfawatch.yaml", append(file, "retenton: 40d\n"...), nil, nil)
	fmt.Println(err)
	// Output:
	// debug 840h0m0s reader
	// mfawatch.yaml:6: retenton: unknown key; did you mean retention?
}
