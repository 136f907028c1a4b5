package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// A control commit can owe records to the log (rule X2): they are stored with the commit and appended after it, by
// AppendOwed or by the next opening. Each Owe is a numbered debt; numbers rise and are never used again, debts are paid
// in their order, whole, and the log keeps the number beside each record. So the highest number in the log tells exactly
// what is still owed. Paid debts are removed from control by whatever commit comes next.
const (
	owedBucket = reservedPrefix + "owed"
	logBucket  = reservedPrefix + "log"
	headKey    = "head"
	lastOwed   = "owed"
)

// Owe stores, with the commit of tx, records that must follow in the log. After the Update the caller calls
// Store.AppendOwed; if it never comes to that, opening the store appends them. They appear in the log exactly once.
func Owe(tx Tx, records ...[]byte) error {
	if len(records) == 0 {
		return nil
	}
	for _, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("owe to the log: record of %d bytes is longer than %d", len(r), MaxRecord)
		}
	}
	tx = inner(tx)
	last, err := lastDebt(tx)
	if err != nil {
		return err
	}
	id := encodeUint(last + 1)
	if err := tx.Put(logBucket, lastOwed, id); err != nil {
		return fmt.Errorf("owe to the log: %w", err)
	}
	if err := tx.Put(owedBucket, string(id), encodeRecords(records)); err != nil {
		return fmt.Errorf("owe to the log: %w", err)
	}
	return nil
}

// lastDebt returns the highest number ever given.
func lastDebt(tx Tx) (uint64, error) {
	b := tx.Get(logBucket, lastOwed)
	if b == nil {
		return 0, nil
	}
	n, ok := decodeUint(b)
	if !ok {
		return 0, &DamageError{File: "control", Why: "the number of the last debt is unreadable"}
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

// debtsAfter reads the debts that the log, which has paid all up to paid, does not hold yet.
func debtsAfter(tx Tx, paid uint64) ([]debt, error) {
	var debts []debt
	err := tx.Each(owedBucket, "", func(key string, value []byte) error {
		id, ok := decodeUint([]byte(key))
		if !ok || id == 0 {
			return &DamageError{File: "control", Why: "the number of a debt is unreadable"}
		}
		if id <= paid {
			return nil
		}
		records, err := decodeRecords(value)
		if err != nil {
			return &DamageError{File: "control", Why: fmt.Sprintf("debt %d to the log: %v", id, err)}
		}
		for _, r := range records {
			debts = append(debts, debt{id: id, record: r})
		}
		return nil
	})
	return debts, err
}

// Owes reports whether control commits owe the log records.
func (s *Store) Owes(ctx context.Context) (owes bool, err error) {
	err = s.control.kv.view(ctx, func(tx Tx) error {
		debts, err := debtsAfter(tx, s.log.paid())
		owes = len(debts) > 0
		return err
	})
	return owes, err
}

// AppendOwed appends to the log what control commits owe it and returns the log's head. It may use the reserve: a commit
// that took place cannot be taken back. Calling it with nothing owed is cheap.
func (s *Store) AppendOwed(ctx context.Context) (last uint64, err error) {
	s.owedMu.Lock()
	defer s.owedMu.Unlock()
	var debts []debt
	err = s.control.kv.view(ctx, func(tx Tx) error {
		debts, err = debtsAfter(tx, s.log.paid())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("append owed records: %w", err)
	}
	if len(debts) > 0 {
		if err := s.hook.reach(FailOwedBeforeAppend); err != nil {
			return 0, fmt.Errorf("append owed records: %w", err)
		}
	}
	if last, err = s.log.append(WithReserve(ctx), debts); err != nil {
		return 0, fmt.Errorf("append owed records: %w", err)
	}
	if len(debts) > 0 {
		err = s.hook.reach(FailOwedAfterAppend)
	}
	return last, err
}

// bookkeep is added to each control commit: it notes the log's head, which may lag and never leads, and removes paid debts.
func (s *Store) bookkeep(tx Tx) error {
	seq, hash := s.log.Head()
	head := append(encodeUint(seq), hash[:]...)
	if seq > 0 && string(tx.Get(logBucket, headKey)) != string(head) {
		if err := tx.Put(logBucket, headKey, head); err != nil {
			return fmt.Errorf("keep the log's head: %w", err)
		}
	}
	paid := s.log.paid()
	return tx.Each(owedBucket, "", func(key string, _ []byte) error {
		if id, ok := decodeUint([]byte(key)); !ok || id > paid {
			return nil
		}
		return tx.Delete(owedBucket, key)
	})
}

// keptHead reads the log's head as the last control commit saw it.
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

// skipPaid moves the debts' numbers past those in the log: a control store that is older than its log, as after a restore,
// must not give a number again, for the log would take that debt for paid.
func (s *Store) skipPaid(ctx context.Context) error {
	paid, last := s.log.paid(), uint64(0)
	err := s.control.kv.view(ctx, func(tx Tx) (err error) {
		last, err = lastDebt(tx)
		return err
	})
	if err != nil || last >= paid {
		return err
	}
	return s.control.Update(WithReserve(ctx), func(tx Tx) error {
		return inner(tx).Put(logBucket, lastOwed, encodeUint(paid))
	})
}
