//go:build windows

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// Managed reports whether Windows' service manager started this process.
func Managed() (bool, error) { return svc.IsWindowsService() }

// WindowsService is a service as Windows' service manager runs it, under a virtual account of its own (NT SERVICE\Name), which has no rights but the network's.
type WindowsService struct {
	Name, DisplayName, Description string
	Program                        string
	Args                           []string
	Folder                         string // that its account may use, and nobody else but SYSTEM and the administrators
}

// restarts are what the manager does after failures, and for how long it counts them.
var restarts = []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 10 * time.Second}, {Type: mgr.ServiceRestart, Delay: time.Minute}, {Type: mgr.ServiceRestart, Delay: 5 * time.Minute}}

// Install makes the service, closes its folder to others, and starts it.
func (w WindowsService) Install() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (an administrator is needed): %w", err)
	}
	defer m.Disconnect()
	s, err := m.CreateService(w.Name, w.Program, mgr.Config{DisplayName: w.DisplayName, Description: w.Description, StartType: mgr.StartAutomatic, DelayedAutoStart: true,
		ServiceStartName: `NT SERVICE\` + w.Name, SidType: windows.SERVICE_SID_TYPE_UNRESTRICTED}, w.Args...)
	if err != nil {
		return fmt.Errorf("make the service %s: %w", w.Name, err)
	}
	defer s.Close()
	err = errors.Join(s.SetRecoveryActions(restarts, uint32((24*time.Hour).Seconds())), s.SetRecoveryActionsOnNonCrashFailures(true))
	if err == nil {
		err = Close(w.Folder, w.Name)
	}
	if err == nil {
		err = registerLog(w.Name)
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("install the service %s: %w", w.Name, err), s.Delete(), eventlog.Remove(w.Name))
	}
	return nil
}

func registerLog(name string) error {
	_ = eventlog.Remove(name) // what an earlier installation left
	return eventlog.InstallAsEventCreate(name, eventlog.Error|eventlog.Warning|eventlog.Info)
}

// UninstallWindows stops a service and removes it. ErrNotInstalled if there is none.
func UninstallWindows(ctx context.Context, name string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("connect to the service manager (an administrator is needed): %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return fmt.Errorf("%s: %w", name, ErrNotInstalled)
	}
	if err != nil {
		return fmt.Errorf("open the service %s: %w", name, err)
	}
	defer s.Close()
	if err := stop(ctx, s); err != nil {
		return fmt.Errorf("stop the service %s: %w", name, err)
	}
	if err := s.Delete(); err != nil {
		return fmt.Errorf("remove the service %s: %w", name, err)
	}
	_ = eventlog.Remove(name) // its source of events is all that would stay
	return nil
}

// stop asks a service to end and waits for that.
func stop(ctx context.Context, s *mgr.Service) error {
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := s.Query()
		if err != nil || state.State == svc.Stopped {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Close lets SYSTEM, the administrators and the owner use a folder and what is in it, and the account of a service if one is named; what the folder above allows others ends here.
func Close(dir, service string) error {
	// Access control entries in SDDL (https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format): full access, handed on to files and folders.
	text := "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"
	if service != "" {
		sid, _, _, err := windows.LookupSID("", `NT SERVICE\`+service)
		if err != nil {
			return fmt.Errorf("close %s: the account of service %s: %w", dir, service, err)
		}
		text += "(A;OICI;FA;;;" + sid.String() + ")"
	}
	sd, err := windows.SecurityDescriptorFromString(text)
	if err != nil {
		return fmt.Errorf("close %s: %w", dir, err)
	}
	list, _, err := sd.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	}
	if err != nil {
		return fmt.Errorf("close %s to others: %w", dir, err)
	}
	return nil
}

// Run lets the service manager run the work until it asks for the end, or until the work ends by itself. It returns what the work returned.
func Run(name string, work func(context.Context) error) error {
	h := &handler{work: work}
	if err := svc.Run(name, h); err != nil {
		return fmt.Errorf("run as service %s: %w", name, err)
	}
	return h.err
}

type handler struct {
	work func(context.Context) error
	err  error
}

// Execute implements svc.Handler. Work that fails ends with a number that makes the manager start the service again.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.work(ctx) }()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	status <- running
	for {
		select {
		case h.err = <-ended:
			status <- svc.Status{State: svc.StopPending}
			if h.err != nil {
				return true, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}

// eventID is the number of every entry: the message is all that there is (eventlog.InstallAsEventCreate takes 1 to 1000).
const eventID = 1

// EventLog is a log handler's writer whose lines go to Windows' event log as entries of a level. Close it.
func EventLog(name string) (*Events, error) {
	l, err := eventlog.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	return &Events{log: l}, nil
}

// Events is a source of entries in Windows' event log.
type Events struct{ log *eventlog.Log }

// Close implements io.Closer.
func (e *Events) Close() error { return e.log.Close() }

// Handler returns a handler that makes an entry of each line that format makes of a record.
func (e *Events) Handler(format func(io.Writer) slog.Handler) slog.Handler {
	return eventHandler{e, format}
}

type eventHandler struct {
	events *Events
	format func(io.Writer) slog.Handler
}

// Enabled implements slog.Handler.
func (h eventHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.format(io.Discard).Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h eventHandler) Handle(ctx context.Context, r slog.Record) error {
	var line textOf
	if err := h.format(&line).Handle(ctx, r); err != nil {
		return err
	}
	switch {
	case r.Level >= slog.LevelError:
		return h.events.log.Error(eventID, string(line))
	case r.Level >= slog.LevelWarn:
		return h.events.log.Warning(eventID, string(line))
	}
	return h.events.log.Info(eventID, string(line))
}

// WithAttrs implements slog.Handler.
func (h eventHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return eventHandler{h.events, func(w io.Writer) slog.Handler { return h.format(w).WithAttrs(as) }}
}

// WithGroup implements slog.Handler.
func (h eventHandler) WithGroup(name string) slog.Handler {
	return eventHandler{h.events, func(w io.Writer) slog.Handler { return h.format(w).WithGroup(name) }}
}

type textOf []byte

// Write implements io.Writer.
func (t *textOf) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	return len(b), nil
}
