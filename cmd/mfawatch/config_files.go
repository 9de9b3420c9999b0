package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/sources/files"
)

// defaultConfigs are the configurations that are read if none is named: the first
// that exists.
var defaultConfigs = []string{"mfawatch.yaml", "/etc/mfawatch/mfawatch.yaml"}

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
		if path == "/dev/stdin" {
			path = files.Stdin
		}
		var err error
		if isPipe(path) {
			texts[i], err = p.configIn(path)
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

// isPipe reports whether a path names standard input, or a pipe or file that the
// shell has opened for the program, as <(command) does. It can be read once.
func isPipe(path string) bool {
	return path == files.Stdin || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// readPipe returns what such a path holds. It is read once: a reload of the
// configuration gets the same.
func (p *program) readPipe(path string, limit int64) ([]byte, error) {
	if text, ok := p.pipes[path]; ok {
		return text, nil
	}
	from := p.stdin
	if path != files.Stdin {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	text, err := ownfile.ReadAll(from, limit)
	if err == nil {
		if p.pipes == nil {
			p.pipes = map[string][]byte{}
		}
		p.pipes[path] = text
	}
	return text, err
}

// readToken returns the token in the file that a flag names.
func (p *program) readToken(flag, path string) (string, error) {
	if !isPipe(path) {
		return config.ReadToken(flag, path)
	}
	text, err := p.readPipe(path, maxToken)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return config.Token(flag, strings.TrimRight(string(text), "\r\n"))
}

// maxToken bounds a token in a pipe.
const maxToken = 64 << 10

// configIn returns the configuration in a pipe.
func (p *program) configIn(path string) (config.Text, error) {
	name := path
	if path == files.Stdin {
		name = "standard input"
	}
	text, err := p.readPipe(path, config.MaxText)
	if err != nil {
		err = config.Refuse(name, config.Mistake{Problem: fmt.Sprintf("cannot read the configuration: %v", config.WithoutPath(err))})
	}
	return config.Text{Name: name, YAML: text}, err
}
