package ledger

import (
	"github.com/tandem-sync/tandem/scoping"
)

// shared holds what many rows have in common, once: the chain of their container, the choices and the attributes that an engine writes. Rows never change them in place.
type shared struct {
	texts  map[string]string
	lists  map[string][]string
	chains map[string][]scoping.GUID
	key    []byte
}

// last lets a record of a write refer to what others have too.
func (s *shared) last(l *Last) {
	l.Engine, l.Chain, l.Chosen, l.Attrs = s.text(l.Engine), s.chain(l.Chain), s.chain(l.Chosen), s.list(l.Attrs)
}

func (s *shared) row(r *Row) {
	if r == nil {
		return
	}
	for _, l := range r.Features {
		s.last(l)
	}
}

func (s *shared) text(t string) string {
	if known, ok := s.texts[t]; ok {
		return known
	}
	if s.texts == nil {
		s.texts = map[string]string{}
	}
	s.texts[t] = t
	return t
}

func (s *shared) list(l []string) []string {
	if l == nil {
		return nil
	}
	s.key = s.key[:0]
	for _, t := range l {
		s.key = append(append(s.key, t...), 0)
	}
	if known, ok := s.lists[string(s.key)]; ok {
		return known
	}
	if s.lists == nil {
		s.lists = map[string][]string{}
	}
	mine := make([]string, len(l))
	for i, t := range l {
		mine[i] = s.text(t)
	}
	s.lists[string(s.key)] = mine
	return mine
}

func (s *shared) chain(c []scoping.GUID) []scoping.GUID {
	if c == nil {
		return nil
	}
	s.key = s.key[:0]
	for _, g := range c {
		s.key = append(s.key, g[:]...)
	}
	if known, ok := s.chains[string(s.key)]; ok {
		return known
	}
	if s.chains == nil {
		s.chains = map[string][]scoping.GUID{}
	}
	s.chains[string(s.key)] = c
	return c
}
