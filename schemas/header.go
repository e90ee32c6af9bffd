package schemas

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// Header reads the two circumstances of an event that are public in the transparency log: when it entered the system and
// the id of who acted. It is a function of the stored bytes alone and never changes what it gives for them; of bytes that
// are no circumstances it gives nothing, because an entry of the log must be made of every event, readable or not.
func Header(meta []byte) (receivedAt time.Time, actor domain.PersonID) {
	m, _, err := decodeMeta(meta)
	if err != nil {
		return time.Time{}, ""
	}
	return m.ReceivedAt, m.Actor
}
