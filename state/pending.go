package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// A control commit can leave records pending for the log (rule X2): they are stored with the commit and appended after it, by AppendPending or by the
// next opening. Each AppendLater gets a number; numbers rise and are never used again, pending records are appended in their order, all of one number
// at once, and the log keeps the number beside each record. So the highest number in the log tells exactly what is still pending. The next control
// commit removes what the log has.
const (
	pendingBucket = reservedPrefix + "owed"
	logBucket     = reservedPrefix + "log"
	headKey       = "head"
	lastPending   = "owed"
)

// AppendLater stores, with the commit of tx, records that must follow in the log. After the Update the caller calls Store.AppendPending; if that does
// not happen, opening the store appends them. They appear in the log exactly once.
func AppendLater(tx Tx, records ...[]byte) error {
	if len(records) == 0 {
		return nil
	}
	for _, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("store pending records: record of %d bytes is longer than %d", len(r), MaxRecord)
		}
	}
	tx = inner(tx)
	last, err := lastNumber(tx)
	if err != nil {
		return err
	}
	id := encodeUint(last + 1)
	if err := tx.Put(logBucket, lastPending, id); err != nil {
		return fmt.Errorf("store pending records: %w", err)
	}
	if err := tx.Put(pendingBucket, string(id), encodeRecords(records)); err != nil {
		return fmt.Errorf("store pending records: %w", err)
	}
	return nil
}

// lastNumber returns the highest number ever used.
func lastNumber(tx Tx) (uint64, error) {
	b := tx.Get(logBucket, lastPending)
	if b == nil {
		return 0, nil
	}
	n, ok := decodeUint(b)
	if !ok {
		return 0, &DamageError{File: "control", Why: "the number of the last pending records is unreadable"}
	}
	return n, nil
}

func encodeRecords(records [][]byte) []byte {
	var b []byte
	for _, r := range records {
		b = binary.AppendUvarint(b, uint64(len(r)))
		b = append(b, r...)
	}
	return b
}

func decodeRecords(b []byte) ([][]byte, error) {
	var records [][]byte
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errors.New("a length goes past the end")
		}
		records = append(records, append([]byte{}, b[used:used+int(n)]...))
		b = b[used+int(n):]
	}
	return records, nil
}

// pendingAfter returns the pending records that the log, which has all up to a number, does not have yet.
func pendingAfter(tx Tx, upTo uint64) ([]pendingRecord, error) {
	var rs []pendingRecord
	err := tx.Each(pendingBucket, "", func(key string, value []byte) error {
		id, ok := decodeUint([]byte(key))
		if !ok || id == 0 {
			return &DamageError{File: "control", Why: "the number of pending records is unreadable"}
		}
		if id <= upTo {
			return nil
		}
		records, err := decodeRecords(value)
		if err != nil {
			return &DamageError{File: "control", Why: fmt.Sprintf("pending records %d: %v", id, err)}
		}
		for _, r := range records {
			rs = append(rs, pendingRecord{id: id, record: r})
		}
		return nil
	})
	return rs, err
}

// HasPending reports whether control commits left records pending.
func (s *Store) HasPending(ctx context.Context) (pending bool, err error) {
	err = s.control.kv.view(ctx, func(tx Tx) error {
		rs, err := pendingAfter(tx, s.log.appended())
		pending = len(rs) > 0
		return err
	})
	return pending, err
}

// AppendPending appends the pending records of control commits and returns the log's head. It may use the reserve: a commit that took place cannot be
// taken back. It is cheap if nothing is pending.
func (s *Store) AppendPending(ctx context.Context) (last uint64, err error) {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	var rs []pendingRecord
	err = s.control.kv.view(ctx, func(tx Tx) error {
		rs, err = pendingAfter(tx, s.log.appended())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("append pending records: %w", err)
	}
	if len(rs) > 0 {
		if err := s.hook.reach(FailPendingBeforeAppend); err != nil {
			return 0, fmt.Errorf("append pending records: %w", err)
		}
	}
	if last, err = s.log.append(WithReserve(ctx), rs); err != nil {
		return 0, fmt.Errorf("append pending records: %w", err)
	}
	if len(rs) > 0 {
		err = s.hook.reach(FailPendingAfterAppend)
	}
	return last, err
}

// bookkeep is added to each control commit: it stores the log's head, which may lag and is never ahead, and removes pending records that the log has.
func (s *Store) bookkeep(tx Tx) error {
	seq, hash := s.log.Head()
	head := append(encodeUint(seq), hash[:]...)
	if seq > 0 && string(tx.Get(logBucket, headKey)) != string(head) {
		if err := tx.Put(logBucket, headKey, head); err != nil {
			return fmt.Errorf("keep the log's head: %w", err)
		}
	}
	upTo := s.log.appended()
	return tx.Each(pendingBucket, "", func(key string, _ []byte) error {
		if id, ok := decodeUint([]byte(key)); !ok || id > upTo {
			return nil
		}
		return tx.Delete(pendingBucket, key)
	})
}

// keptHead returns the log's head as of the last control commit.
func keptHead(tx Tx) (seq uint64, hash [32]byte, err error) {
	b := tx.Get(logBucket, headKey)
	if b == nil {
		return 0, hash, nil
	}
	if len(b) != 8+len(hash) {
		return 0, hash, &DamageError{File: "control", Why: "the log's head kept there is unreadable"}
	}
	seq, _ = decodeUint(b[:8])
	copy(hash[:], b[8:])
	return seq, hash, nil
}

// skipAppended moves the numbers past those in the log: a control store older than its log, as after a restore, must not use a number again, for the
// log would seem to have its records.
func (s *Store) skipAppended(ctx context.Context) error {
	upTo, last := s.log.appended(), uint64(0)
	err := s.control.kv.view(ctx, func(tx Tx) (err error) {
		last, err = lastNumber(tx)
		return err
	})
	if err != nil || last >= upTo {
		return err
	}
	return s.control.Update(WithReserve(ctx), func(tx Tx) error {
		return inner(tx).Put(logBucket, lastPending, encodeUint(upTo))
	})
}
