package cloud

// Digest returns a digest of what the tenant shows of attributes, with the cloud ids of references. An object that does not exist or is deleted has
// the digest 0.
func Digest(o *Object, attrs []string) uint64 {
	if o == nil || o.Deleted {
		return 0
	}
	d := uint64(offset)
	for _, a := range attrs {
		d = sum(d, a)
		switch a {
		case Members:
			d = sumAll(d, o.Members)
		case Manager:
			d = sum(d, o.Manager)
		default:
			d = sumAll(d, o.Values[a])
		}
		d = (d ^ 0xff) * prime
	}
	return max(d, 1)
}

// Hash returns a digest of texts that is never 0.
func Hash(texts ...string) uint64 { return max(sumAll(offset, texts), 1) }

// Digest returns [Digest] of what the cache shows of an object, and the object's [Cache.Version]; at the version that the caller has seen it returns no
// digest. Most often it reads the object's record without making an object of it, since a first comparison does this for everything.
func (c *Cache) Digest(id string, attrs []string, seen uint64) (digest, version uint64) {
	c.seek(id)
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, known := c.byID[id]
	if !known {
		return 0, 0
	}
	s := &c.slots[n]
	if version = s.version + 1; version == seen {
		return 0, version
	}
	if s.hidden || len(s.base) < recordHeader {
		o, ok := c.viewSlot(s)
		if !ok {
			return 0, version
		}
		return Digest(&o, attrs), version
	}
	return digestRecord(s.base, s.members(), attrs), version
}

// digestRecord is Digest of a record, with its members.
func digestRecord(rec string, members, attrs []string) uint64 {
	if rec[1]&flagDeleted != 0 {
		return 0
	}
	r := reader{rest: rec[recordHeader:]}
	manager := r.text()
	all := values{reader: r, left: r.number()}
	all.rest = r.rest
	d, next := uint64(offset), all
	for i, a := range attrs {
		if i > 0 && a <= attrs[i-1] {
			next = all // a record has its values in the order of their names
		}
		d = sum(d, a)
		switch a {
		case Members:
			d = sumAll(d, members)
		case Manager:
			d = sum(d, manager)
		default:
			d = next.sum(d, a)
		}
		d = (d ^ 0xff) * prime
	}
	return max(d, 1)
}

// values reads the values of a record one name after the other.
type values struct {
	reader
	left uint64
}

// sum adds the texts of a name to a digest. Names that come before are passed over.
func (v *values) sum(d uint64, name string) uint64 {
	for v.left > 0 && !v.bad {
		before := v.reader
		has := v.name()
		if has > name {
			v.reader = before
			break
		}
		v.left--
		for range v.number() {
			if t := v.text(); has == name {
				d = sum(d, t)
			}
		}
		if has == name {
			break
		}
	}
	return d
}

// FNV-1a, 64 bits: the next process has to compute the same, and no attack is to be feared.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func sum(d uint64, s string) uint64 {
	for i := range len(s) {
		d = (d ^ uint64(s[i])) * prime
	}
	return (d ^ 0xfe) * prime // the end of a text
}

func sumAll(d uint64, texts []string) uint64 {
	for _, t := range texts {
		d = sum(d, t)
	}
	return d
}
