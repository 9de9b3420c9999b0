package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/sources/files"
)

// defaultConfigs are the configurations that are read if none is named: the first
// that exists.
var defaultConfigs = []string{"mfawatch.yaml", "/etc/mfawatch/mfawatch.yaml"}

// maxConfig bounds a configuration on standard input.
const maxConfig = 16 << 20

// loadConfig reads the configuration in the named files, or the default one.
func (p *program) loadConfig(paths []string, flags *pflag.FlagSet) (*config.Config, error) {
	texts, err := p.configTexts(paths)
	if err != nil {
		return nil, err
	}
	return config.LoadTexts(texts, p.environ, flags)
}

// configTexts reads the named files, or the default one.
func (p *program) configTexts(paths []string) ([]config.Text, error) {
	if len(paths) == 0 {
		paths = p.defaultConfig()
	}
	if len(paths) == 0 {
		return nil, config.Refuse("-c", config.Mistake{Problem: "missing; want the configuration, as in -c mfawatch.yaml; there is none at " +
			strings.Join(defaultConfigs, " or ") + ", and " + config.FileVariable + " names none"})
	}
	texts := make([]config.Text, len(paths))
	for i, path := range paths {
		var err error
		if path == files.Stdin {
			texts[i], err = p.configOnStdin()
		} else {
			texts[i], err = config.ReadText(path)
		}
		if err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// defaultConfig returns the configuration of the environment, or the first default
// one that exists.
func (p *program) defaultConfig() []string {
	if path := config.Variable(p.environ, config.FileVariable); path != "" {
		return []string{path}
	}
	for _, path := range defaultConfigs {
		if _, err := os.Stat(path); err == nil {
			return []string{path}
		}
	}
	return nil
}

// configOnStdin returns the configuration on standard input, which is read once: a
// reload gets the same.
func (p *program) configOnStdin() (config.Text, error) {
	if p.onStdin == nil {
		text, err := io.ReadAll(io.LimitReader(p.stdin, maxConfig+1))
		switch {
		case err != nil:
			return config.Text{}, fmt.Errorf("read the configuration on standard input: %w", err)
		case len(text) > maxConfig:
			return config.Text{}, fmt.Errorf("the configuration on standard input has more than %d bytes", maxConfig)
		}
		p.onStdin = &config.Text{Name: "standard input", YAML: text}
	}
	return *p.onStdin, nil
}
