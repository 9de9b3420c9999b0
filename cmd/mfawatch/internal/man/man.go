// Package man writes the manual page of the commands.
package man

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/build"
)

// Write writes the help of root and of every command below it as one page of
// man(7).
func Write(w io.Writer, root *cobra.Command) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH MFAWATCH 1 \"\" \"mfawatch %s\" \"\"\n.SH NAME\nmfawatch \\- %s\n", build.Read().Version, roff(root.Short))
	b.WriteString(".SH SYNOPSIS\n.B mfawatch\n.I command\n[flags]\n.SH DESCRIPTION\n")
	text(&b, root.Long)
	b.WriteString(".SH COMMANDS\n")
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() != "help" {
				command(&b, sub)
				visit(sub)
			}
		}
	}
	visit(root)
	b.WriteString(".SH EXIT STATUS\n0 done; 1 something failed or could not be read, and stderr names it; 2 usage or configuration;\n3 scan \\-\\-fail\\-on found an alert.\n")
	_, err := b.WriteTo(w)
	return err
}

func command(b *bytes.Buffer, c *cobra.Command) {
	line, _, _ := strings.Cut(c.UseLine(), " [flags]")
	fmt.Fprintf(b, ".SS %s\n", roff(line))
	text(b, cmp.Or(c.Long, c.Short+"."))
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, ".TP\n.B %s %s\n%s\n", roff(name), roff(value), roff(usage))
	})
	if c.Example != "" {
		b.WriteString(".PP\n")
		text(b, c.Example)
	}
}

// text writes paragraphs as they are laid out.
func text(b *bytes.Buffer, lines string) {
	b.WriteString(".nf\n" + roff(lines) + "\n.fi\n")
}

// roff escapes text: a backslash, a hyphen, an ellipsis, which not every device has, and a line that begins like a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "…", "...", "-", `\-`, "\n.", "\n\\&.", "\n'", "\n\\&'").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
