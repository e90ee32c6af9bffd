package esdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
)

// The server's streams of settings, and what stands in them.
const (
	settingsStream = "$settings"
	settingsKind   = "$settings"
	allMetaStream  = "$$$all"
	metaKind       = "$metadata"
	userACL        = "$userStreamAcl"
	aclKey         = "$acl"
)

// Protect makes the server refuse what would take events out of the ledger, from everybody but its administrators
// (whom no list binds): deleting a stream, and writing a stream's metadata, which is where $maxAge, $maxCount and $tb
// truncate it. user, the user of the connection string that `serve` runs with, keeps what the ledger needs: reading,
// writing, and following $all. It returns whether anything had to be changed; running it again changes nothing.
//
// It sets the DEFAULT list of the server ($userStreamAcl in $settings), not one list per stream: the ledger's streams
// do not exist yet when it is installed (there is one per unit and reporting day), a list of its own would double the
// writes of every stream, and a stream would stand open between its first event and its list. The price is that it
// holds for every application on that server, so the ledger wants a server of its own. A stream's own list overrides
// the default, but once this stands only administrators can write one.
//
// It needs the connection of an administrator, and means nothing on a server that runs without authentication
// (--insecure). It does not stop a scavenge: with nothing truncated or deleted a scavenge removes nothing of ours.
func (l *Log) Protect(ctx context.Context, user string) (changed bool, err error) {
	if user == "" {
		return false, fmt.Errorf("esdb: protect: the user the ledger runs as is not named: %w", eventlog.ErrInvalid)
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	nobody := []string{} // an empty list leaves the administrators alone
	for _, change := range []struct {
		stream, kind, key string
		list              map[string]any
	}{
		{settingsStream, settingsKind, userACL, map[string]any{"$r": []string{user}, "$w": []string{user}, "$d": nobody, "$mr": []string{user}, "$mw": nobody}},
		{allMetaStream, metaKind, aclKey, map[string]any{"$r": []string{user}}},
	} {
		one, err := l.setList(ctx, change.stream, change.kind, change.key, change.list)
		if err != nil {
			return changed, fmt.Errorf("esdb: protect: %s: %w", change.stream, err)
		}
		changed = changed || one
	}
	return changed, nil
}

// setList replaces one key of the JSON document that is the last event of a stream, and keeps its other keys.
func (l *Log) setList(ctx context.Context, stream, kind, key string, list map[string]any) (changed bool, err error) {
	for {
		document, expected, err := l.document(ctx, stream)
		if err != nil {
			return false, err
		}
		want, err := json.Marshal(list)
		if err != nil {
			return false, err
		}
		if sameJSON(document[key], want) {
			return false, nil
		}
		document[key] = want
		data, err := json.Marshal(document)
		if err != nil {
			return false, err
		}
		// The id makes a repeated attempt one event.
		event := client.EventData{EventID: uuid.New(), EventType: kind, ContentType: client.ContentTypeJson, Data: data}
		_, err = repeat(ctx, l, hurried, func(ctx context.Context, c *client.Client) (struct{}, error) {
			_, err := c.AppendToStream(ctx, stream, client.AppendToStreamOptions{ExpectedRevision: expected}, event)
			return struct{}{}, err
		})
		what, err := judge(err)
		switch what {
		case stored:
			return true, nil
		case conflict: // somebody else changed it: look again
			continue
		case refused:
			return false, err
		}
		return false, fmt.Errorf("%w: %w", eventlog.ErrOutcomeUnknown, err)
	}
}

// document reads the last event of a stream as a JSON object, empty when there is none.
func (l *Log) document(ctx context.Context, stream string) (map[string]json.RawMessage, client.ExpectedRevision, error) {
	type last struct {
		data     []byte
		expected client.ExpectedRevision
	}
	found, err := repeat(ctx, l, hurried, func(ctx context.Context, c *client.Client) (last, error) {
		events, err := c.ReadStream(ctx, stream, client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 1)
		if err != nil {
			return last{}, err
		}
		defer events.Close()
		e, err := receive(events)
		switch {
		case errors.Is(err, io.EOF) || codeOf(err) == client.ErrorCodeResourceNotFound:
			return last{data: []byte("{}"), expected: client.NoStream{}}, nil
		case err != nil:
			return last{}, err
		}
		return last{e.OriginalEvent().Data, client.Revision(e.OriginalEvent().EventNumber)}, nil
	})
	if err != nil {
		return nil, nil, failed(err)
	}
	document := map[string]json.RawMessage{}
	if err := json.Unmarshal(found.data, &document); err != nil {
		return nil, nil, fmt.Errorf("%w: its last event is not a JSON object: %w", eventlog.ErrDamaged, err)
	}
	return document, found.expected, nil
}

// sameJSON compares two documents without regard to blanks and order of keys.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ax, _ := json.Marshal(x)
	by, _ := json.Marshal(y)
	return string(ax) == string(by)
}
