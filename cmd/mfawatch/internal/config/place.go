package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

// A Place is where the service of a configuration is found, its addresses and its
// journal, and how its people read times and accounts.
type Place struct {
	HTTP     HTTPConfig               `koanf:"http"`
	Accounts map[string]accountConfig `koanf:"accounts"`
	TimeZone string                   `koanf:"time_zone"`
	Journal  struct {
		Type string `koanf:"type"`
		Path string `koanf:"path"`
	} `koanf:"journal"`
}

// placeKeys are the keys of a Place.
var placeKeys = []string{"http", "accounts", "time_zone", "journal.type", "journal.path"}

// Locale returns what [Settings.Locale] does.
func (p *Place) Locale() output.Locale { return p.settings().Locale() }

func (p *Place) settings() *Settings {
	return &Settings{HTTP: p.HTTP, Accounts: p.Accounts, TimeZone: p.TimeZone}
}

// LoadPlace reads the place of a service as LoadTexts does. It ignores every other
// key, and so needs none of the secrets that the service has.
func LoadPlace(texts []Text, environ []string) (Place, error) {
	defaults := Defaults()
	p := Place{HTTP: defaults.HTTP, TimeZone: defaults.TimeZone}
	p.Journal.Type, p.Journal.Path = defaults.Journal.Type, defaults.Journal.Path
	m, err := merge(texts, environ, nil)
	if err != nil {
		return p, err
	}
	k := koanf.New(".")
	for _, key := range placeKeys {
		if m.values.Exists(key) {
			err = k.Set(key, m.values.Get(key))
		}
		if err != nil {
			return p, Refuse(m.name, Mistake{key, err.Error()})
		}
	}
	wrong := slices.DeleteFunc(m.mistakes, func(m Mistake) bool {
		return !slices.ContainsFunc(placeKeys, func(key string) bool { return m.Field == key || strings.HasPrefix(m.Field, key+".") })
	})
	wrong = andOthers(wrong, decode(k, "", &p))
	others := OneOf("journal.type", p.Journal.Type, JournalFile, JournalKafka)
	bad := func(field, format string, args ...any) {
		others = append(others, Mistake{field, fmt.Sprintf(format, args...)})
	}
	p.HTTP.mistakes(bad)
	p.settings().wordingMistakes(bad)
	if wrong = andOthers(wrong, others); len(wrong) > 0 {
		return p, refuseAt(m.name, m.at, m.variables, wrong)
	}
	return p, nil
}
