package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

func (p *program) journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Back up, verify and copy the journal",
		Args:  knownCommand,
		RunE: func(*cobra.Command, []string) error {
			p.started = false
			return errors.New("journal: no action given; want backup, verify or copy")
		},
	}
	cmd.AddCommand(p.backupCommand(), p.verifyCommand(), p.journalCopyCommand())
	return cmd
}

func (p *program) backupCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the journal, as it is at one moment, to FILE",
		Long: `Copy the journal, as it is at one moment, to FILE, which must not exist. A running
service is called over HTTP and goes on; the journal of a stopped one is opened. The
copy is verified before it gets its name.`,
		Example: "  mfawatch journal backup /backup/mfawatch-$(date +%F).db -c mfawatch.yaml",
		Args:    oneArgument("FILE"),
	}
	flags.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := untilSignal(cmd.Context(), p.stderr)
		defer stop()
		admin, opened, err := p.openAdmin(ctx, &flags, false)
		if err != nil {
			return err
		}
		source, ok := admin.(interface {
			Backup(ctx context.Context, w io.Writer) error
		})
		if !ok {
			return errors.New("this journal cannot be backed up")
		}
		err = backUp(ctx, args[0], source.Backup)
		if opened != nil {
			err = errors.Join(err, opened.Close())
		}
		if err == nil {
			_, err = fmt.Fprintf(p.stdout, "%s: a whole journal\n", config.Clean(args[0]))
		}
		return err
	}
	return cmd
}

// backUp writes a copy to path. Nothing of a failed one stays.
func backUp(ctx context.Context, path string, write func(context.Context, io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists; name another file", config.Clean(path))
	}
	unfinished := path + ".unfinished"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: another backup runs, or was killed; remove it, or name another file", config.Clean(unfinished))
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(unfinished))
		}
	}()
	if err := errors.Join(write(ctx, f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := journal.Verify(unfinished); err != nil {
		return fmt.Errorf("the copy is not whole: %w", err)
	}
	return os.Rename(unfinished, path)
}

func (p *program) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Read a journal in full, and report damage",
		Long: `Read the journal in FILE in full, change nothing, and report damage. A journal in use
cannot be verified: back it up, which verifies the copy.`,
		Example: "  mfawatch journal verify /backup/mfawatch.db",
		Args:    oneArgument("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := journal.Verify(args[0]); err != nil {
				if errors.Is(err, store.ErrInUse) {
					return fmt.Errorf("%w; back it up, which verifies the copy", err)
				}
				return err
			}
			_, err := fmt.Fprintf(p.stdout, "%s: a whole journal\n", config.Clean(args[0]))
			return err
		},
	}
}
