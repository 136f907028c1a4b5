package journal

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tandem-sync/tandem/state"
)

// HeadFile is the name of the signed head in an archive.
const HeadFile = "head.json"

// headVersion is the format of a head.
const headVersion = 1

// The kinds of errors about an archive.
var (
	// ErrNone means that a folder has no archive.
	ErrNone = errors.New("there is no archive")
	// ErrDamaged means that an archive is not as it was exported.
	ErrDamaged = errors.New("the archive is damaged")
	// ErrOther means that an archive is of another installation, or of another history of this one.
	ErrOther = errors.New("the archive is of another journal")
)

// Head is the signed head of an archive.
type Head struct {
	Version      int       `json:"version"`
	Installation string    `json:"installation"`
	Segments     []Segment `json:"segments"` // from record 1 on, without a gap
	Seq          uint64    `json:"seq"`      // the last record in Segments
	Hash         string    `json:"hash"`     // its hash, hexadecimal
	At           string    `json:"at"`       // when it was exported, RFC 3339
	Key          string    `json:"key"`      // the public key, base64
	Signature    string    `json:"signature"`
}

// Segment is one file of an archive.
type Segment struct {
	File  string `json:"file"`
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Hash  string `json:"hash"` // of the last record
	Bytes int64  `json:"bytes"`
}

func segmentOf(s state.Segment) Segment {
	return Segment{File: state.SegmentFile(s.First), First: s.First, Last: s.Last, Hash: hex.EncodeToString(s.Hash[:]), Bytes: s.Bytes}
}

// signed returns the bytes that the signature covers: the head without it.
func (h Head) signed() ([]byte, error) {
	h.Signature = ""
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding the archive's head: %w", err)
	}
	return append([]byte("tandem journal head\n"), b...), nil
}

// sign sets the key and the signature of a head.
func (h *Head) sign(key ed25519.PrivateKey) error {
	h.Key = Public(key)
	b, err := h.signed()
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, b))
	return err
}

// Public returns a key's public part in the form of Head.Key.
func Public(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// Read reads the head of an archive and checks its signature. key is the public key that it has to be signed with, as [Public] returns it; "" accepts
// the one in the head. Kinds of error: ErrNone, ErrDamaged, ErrOther.
func Read(dir, key string) (Head, error) {
	var h Head
	name := filepath.Join(dir, HeadFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return h, fmt.Errorf("%w in %s", ErrNone, dir)
	}
	if err != nil {
		return h, fmt.Errorf("reading the archive's head: %w", err)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return Head{}, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	if h.Version != headVersion {
		return Head{}, fmt.Errorf("%w: %s has version %d, this program knows %d", ErrDamaged, name, h.Version, headVersion)
	}
	if key != "" && h.Key != key {
		return Head{}, fmt.Errorf("%w: %s is signed with key %s, this installation's is %s", ErrOther, name, h.Key, key)
	}
	public, err := base64.StdEncoding.DecodeString(h.Key)
	signature, bad := base64.StdEncoding.DecodeString(h.Signature)
	text, unsigned := h.signed()
	if errors.Join(err, bad, unsigned) != nil || len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, text, signature) {
		return Head{}, fmt.Errorf("%w: %s: its signature does not hold", ErrDamaged, name)
	}
	return h, h.check(name)
}

// check returns an error if a head's segments do not follow each other, which no signed head should have.
func (h Head) check(name string) error {
	next, hash := uint64(1), ""
	for _, s := range h.Segments {
		if s.First != next || s.Last < s.First || s.File != state.SegmentFile(s.First) {
			return fmt.Errorf("%w: %s: segment %s does not begin with record %d", ErrDamaged, name, s.File, next)
		}
		next, hash = s.Last+1, s.Hash
	}
	if h.Seq != next-1 || h.Hash != hash {
		return fmt.Errorf("%w: %s: its last record is not that of its last segment", ErrDamaged, name)
	}
	return nil
}

// Last returns the hash of the last record in an archive.
func (h Head) Last() (hash [32]byte) {
	b, err := hex.DecodeString(h.Hash)
	if err == nil {
		copy(hash[:], b)
	}
	return hash
}
