// Package documents makes what leaves the ledger on paper or as a file.
//
// Its promise: a document says as known when it was made, and shows answers as the read side gave them, with the evidence
// beside them where there is some. A bundle can be checked by somebody who has nothing but it, the program notary and a
// policy file from a third party.
//
// Its failure model: it writes to whoever asks and keeps nothing. When an answer or a piece of evidence cannot be had the
// document fails whole; half a bundle is none.
package documents

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// BundleVersion is the first member of a bundle's manifest.
const BundleVersion = "answerable-bundle/1"

// MaxBundleDays bounds a bundle: a quarter of a year of a unit is some thousand receipts.
const MaxBundleDays = 92

// Evidence is what a bundle takes from the transparency log.
type Evidence interface {
	Receipt(ctx context.Context, id uuid.UUID) (receipts.Receipt, error)
	Opening(ctx context.Context, e eventlog.Recorded) (transparency.Opening, error)
	Checkpoints(ctx context.Context) ([]treestore.Signed, error)
	Consistency(ctx context.Context, old int64, newest transparency.Note) (transparency.Consistency, error)
	Policy() *transparency.Policy
}

// Answers is what a bundle takes from the read side.
type Answers interface {
	Answer(ctx context.Context, q projections.AnswerQuery) (projections.AnswerPage, error)
}

// Streams reads the events themselves.
type Streams interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
}

// Sources are where a bundle's parts come from.
type Sources struct {
	Streams  Streams
	Answers  Answers
	Evidence Evidence
	Forms    []domain.FormID // every form there is
	Decode   func(eventlog.Recorded) (domain.Fact, error)
}

// BundleQuery says what a bundle is about.
type BundleQuery struct {
	Regime   domain.RegimeID
	Unit     domain.UnitCode
	From, To domain.Date // inclusive
	Lang     domain.Language
	MadeAt   time.Time
}

// Manifest is bundle.json.
type Manifest struct {
	V       string          `json:"v"`
	Origin  string          `json:"origin"`
	Regime  domain.RegimeID `json:"regime"`
	Unit    domain.UnitCode `json:"unit"`
	From    domain.Date     `json:"from"`
	To      domain.Date     `json:"to"`
	MadeAt  time.Time       `json:"made_at"`
	Place   string          `json:"position"` // up to which the answers know
	Entries []ManifestEntry `json:"entries"`
}

// ManifestEntry is one event of a bundle. Its receipt, and its opening when it is opened, lie under its id.
type ManifestEntry struct {
	EventID  string `json:"event_id"`
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	Kind     string `json:"kind"`
	Index    int64  `json:"index"` // in the tree; -1 while it is only recorded
	Level    string `json:"level"`
	Opened   bool   `json:"opened"`
}

// bundle is one being made.
type bundle struct {
	Sources
	q        BundleQuery
	events   []eventlog.Recorded
	taken    map[uuid.UUID]bool
	closed   map[uuid.UUID]bool // events whose content is not this unit's alone: receipt without opening
	files    map[string][]byte
	manifest Manifest
	records  []projections.AnswerRecord
	sizes    map[int64]bool // of checkpoints that must be there
}

// WriteBundle makes a bundle: everything recorded about a unit's duties of some days, opened, with what proves it.
func WriteBundle(ctx context.Context, w io.Writer, s Sources, q BundleQuery) error {
	days, err := datesBetween(q.From, q.To)
	if err != nil {
		return err
	}
	b := &bundle{Sources: s, q: q, taken: map[uuid.UUID]bool{}, closed: map[uuid.UUID]bool{}, files: map[string][]byte{}, sizes: map[int64]bool{}}
	b.manifest = Manifest{V: BundleVersion, Regime: q.Regime, Unit: q.Unit, From: q.From, To: q.To, MadeAt: q.MadeAt.UTC()}
	for _, step := range []func(context.Context) error{b.answers, func(ctx context.Context) error { return b.collect(ctx, days) }, b.prove, b.history, b.summary} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("documents: bundle of unit %s, %s to %s: %w", q.Unit, q.From, q.To, err)
		}
	}
	return WriteFiles(w, b.files)
}

func datesBetween(from, to domain.Date) ([]domain.Date, error) {
	if _, err := domain.ParseDate(string(from)); err != nil {
		return nil, domain.Refuse(domain.Invalid, domain.CodeDate, "/from", "value", string(from))
	}
	if _, err := domain.ParseDate(string(to)); err != nil || to < from {
		return nil, domain.Refuse(domain.Invalid, domain.CodeDate, "/to", "value", string(to))
	}
	var days []domain.Date
	for d := from; d <= to; d = d.AddDays(1) {
		if days = append(days, d); len(days) > MaxBundleDays {
			return nil, domain.Refuse(domain.Invalid, domain.CodeDate, "/to", "value", string(to))
		}
	}
	return days, nil
}

// WriteFiles writes a zip whose bytes follow from the files alone: stored, in order of name, without times. So a reader
// can make it again and notice a change anywhere in it, also where archives have room for things nobody reads.
func WriteFiles(w io.Writer, files map[string][]byte) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return fmt.Errorf("documents: %w", err)
		}
		if _, err := f.Write(files[name]); err != nil {
			return fmt.Errorf("documents: %w", err)
		}
	}
	return z.Close()
}

func (b *bundle) put(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	b.files[name] = append(text, '\n')
	return err
}

// answers takes who answers for what.
func (b *bundle) answers(ctx context.Context) error {
	q := projections.AnswerQuery{Regime: b.q.Regime, Unit: b.q.Unit, From: b.q.From, To: b.q.To, Limit: 500}
	for {
		page, err := b.Answers.Answer(ctx, q)
		if err != nil {
			return err
		}
		b.records, b.manifest.Place = append(b.records, page.Records...), page.Place
		if q.After = page.Next; page.Next == "" {
			return b.put("answers.json", b.records)
		}
	}
}

// collect takes the events: the unit's reports and what they are judged by.
func (b *bundle) collect(ctx context.Context, days []domain.Date) error {
	offices := map[domain.UnitCode]bool{b.q.Unit: true}
	for _, r := range b.records {
		for h := &r.Answerable; h != nil; h = h.Above {
			offices[h.Unit] = true
		}
		for h := &r.HeadDeadline; h != nil; h = h.Above {
			offices[h.Unit] = true
		}
	}
	delete(offices, "")
	signers := map[domain.PersonID]bool{}
	add := func(stream string, want func(eventlog.Recorded) (take, open bool)) error {
		for e, err := range b.Streams.ReadStream(ctx, stream, 0) {
			if err != nil {
				return err
			}
			take, open := true, true
			if want != nil {
				take, open = want(e)
			}
			if !take || b.taken[e.ID] {
				continue
			}
			b.taken[e.ID], b.closed[e.ID] = true, !open
			b.events = append(b.events, e)
			switch e.Kind {
			case "ReportSubmitted", "ReportCorrected", "ReportSignedOff":
			default:
				continue
			}
			f, err := b.Decode(e)
			if err != nil {
				return err
			}
			switch x := f.Event.(type) {
			case domain.ReportSubmitted:
				if x.Signature != nil {
					signers[f.Actor] = true
				}
			case domain.ReportCorrected:
				if x.Signature != nil {
					signers[f.Actor] = true
				}
			case domain.ReportSignedOff:
				signers[x.Signer] = true
				if size, ok := seenSize(x.CheckpointSeen); ok {
					b.sizes[size] = true
				}
			}
		}
		return nil
	}
	// The log's keys first: what all the rest is signed with.
	if err := add(domain.LogKeyStream, nil); err != nil {
		return err
	}
	if err := add(domain.RegimeStream(b.q.Regime), nil); err != nil {
		return err
	}
	for _, d := range days {
		// What closes a day counts the whole province: its receipt belongs here, its content does not.
		err := add(domain.DayStream(b.q.Regime, d), func(e eventlog.Recorded) (bool, bool) { return true, e.Kind == "DayOpened" })
		for _, form := range b.Forms {
			err = errors.Join(err, add(domain.ReportKey{Regime: b.q.Regime, Form: form, Unit: b.q.Unit, Date: d}.Stream(), nil))
		}
		if err != nil {
			return err
		}
	}
	streams := []string{domain.UnitStream(b.q.Unit), domain.ResultStream(b.q.Regime, b.q.Unit)}
	for _, u := range slices.Sorted(maps.Keys(offices)) {
		streams = append(streams, domain.OfficeStream(u))
	}
	for _, s := range streams {
		if err := add(s, nil); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(signers)) {
		// Of a person only the keys: names and roles are nobody's business here.
		err := add(domain.PersonStream(p), func(e eventlog.Recorded) (bool, bool) {
			return e.Kind == "CredentialEnrolled" || e.Kind == "CredentialRevoked", true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// seenSize is the size of the checkpoint a signer saw.
func seenSize(seen string) (int64, bool) {
	size, _, _ := strings.Cut(seen, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	return n, err == nil
}

// prove adds receipts and openings.
func (b *bundle) prove(ctx context.Context) error {
	for _, e := range b.events {
		r, err := b.Evidence.Receipt(ctx, e.ID)
		if err != nil {
			return err
		}
		entry := ManifestEntry{EventID: e.ID.String(), Stream: e.Stream, Revision: e.Revision, Kind: e.Kind, Index: r.Index, Level: r.Level.String()}
		b.files["receipts/"+entry.EventID+".tlog-proof"] = r.Bytes
		if r.Size > 0 {
			b.sizes[r.Size] = true
		}
		if !b.closed[e.ID] {
			o, err := b.Evidence.Opening(ctx, e)
			switch {
			case err == nil:
				entry.Opened = true
				if err := b.put("openings/"+entry.EventID+".opening.json", o); err != nil {
					return err
				}
			case !errors.Is(err, transparency.ErrErased):
				return err
			}
		}
		b.manifest.Entries = append(b.manifest.Entries, entry)
	}
	b.files["policy.txt"] = []byte(b.Evidence.Policy().String())
	return nil
}

// history adds the checkpoints that the receipts and the signers name, and the proofs that lead from each to the newest:
// all of them tell one history.
func (b *bundle) history(ctx context.Context) error {
	all, err := b.Evidence.Checkpoints(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	latest := all[len(all)-1]
	c, err := transparency.ParseCheckpoint(latest.Note.Text)
	if err != nil {
		return err
	}
	b.manifest.Origin = c.Origin
	var kept []byte
	for _, x := range all {
		if x.Size != latest.Size && !b.sizes[x.Size] {
			continue
		}
		kept = transparency.AppendHistory(kept, x.Note)
		if x.Size == 0 || x.Size == latest.Size {
			continue
		}
		proof, err := b.Evidence.Consistency(ctx, x.Size, latest.Note)
		if err != nil {
			return err
		}
		b.files[fmt.Sprintf("consistency/%d", x.Size)] = proof.Marshal()
	}
	b.files["checkpoints"] = kept
	return nil
}

// summary adds the manifest and what people read.
func (b *bundle) summary(context.Context) error {
	if err := b.put("bundle.json", b.manifest); err != nil {
		return err
	}
	var page bytes.Buffer
	err := renderSummary(&page, b.q.Lang, b.manifest, b.records)
	b.files["summary.html"] = page.Bytes()
	return err
}
