package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/domain"
)

func TestSignOff(t *testing.T) {
	t.Parallel()
	f, g := figures(1000, 600), figures(1000, 610)
	filed := facts(fact("09:00:00", filer, submitted(f, domain.OnTime)))
	byHead := facts(fact("09:00:00", head, submitted(f, domain.OnTime)))
	signedOff := domain.ReportSignedOff{Version: 1, Digest: digest(f), Signer: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", CheckpointSeen: "checkpoint",
		Statement: `{"authority":"","capacity":"head","checkpoint":"checkpoint","date":"2021-02-08","decision":"sign-off","digest":"` + digest(f) +
			`","form":"commune","nonce":"n1","regime":"bluezone","signer":"p_head","unit":"25900","v":"answerable/sign-off/1","version":1}`}
	authority := func(from, until string, forms ...domain.FormID) domain.Fact {
		return fact("1 08:00:00", head, domain.AuthorityGranted{Unit: unit, Authority: "uq_1", Person: deputy, Capacity: domain.CapacityKT, Title: "PHÓ CHỦ TỊCH",
			Forms: forms, From: at(from), Until: at(until), GrantedBy: head})
	}
	revoked := fact("2 08:00:00", head, domain.AuthorityRevoked{Unit: unit, Authority: "uq_1", At: at("8 10:00:00"), Reason: "điều chuyển"})
	asDeputy := signedOff
	asDeputy.Signer, asDeputy.Capacity, asDeputy.Title, asDeputy.Authority = deputy, domain.CapacityKT, "PHÓ CHỦ TỊCH", "uq_1"
	asDeputy.Statement = domain.Statement(key, domain.Version{Number: 1, Digest: digest(f)}, domain.SignerRight{Capacity: domain.CapacityKT, Title: "PHÓ CHỦ TỊCH", Authority: "uq_1"}, deputy, "checkpoint", "n1")

	sign := func(o domain.Office, by domain.PersonID, clock string, change func(*domain.SigningAttempt)) func(domain.Report) ([]domain.Event, error) {
		return func(r domain.Report) ([]domain.Event, error) {
			a := domain.SigningAttempt{Version: 1, Digest: digest(f), CheckpointSeen: "checkpoint", Nonce: "n1", At: at(clock)}
			if change != nil {
				change(&a)
			}
			return r.SignOff(a, owed(), domain.Rules{}, o, actor(by))
		}
	}
	check(t, domain.Report{Key: key}, []spec[domain.Report]{
		{name: "rule 6: a sign-off binds the digest of one version", given: filed, when: sign(office(), head, "10:00:00", nil), then: []domain.Event{signedOff}},
		{name: "rule 7: the statement signed is the one of this version", given: filed, then: []domain.Event{signedOff},
			when: sign(office(), head, "10:00:00", func(a *domain.SigningAttempt) { a.Statement = signedOff.Statement })},
		{name: "rule 7: another statement is refused", given: filed, wantErr: no(domain.Precondition, domain.CodeStatement, "/statement"),
			when: sign(office(), head, "10:00:00", func(a *domain.SigningAttempt) { a.Statement = signedOff.Statement + " " })},
		{name: "rule 6: an older version is not signed", given: append(filed[:1:1], fact("09:30:00", filer, corrected(2, f, g))),
			when: sign(office(), head, "10:00:00", nil), wantErr: no(domain.Precondition, domain.CodeOldVersion, "/version")},
		{name: "rule 6: other figures are not signed", given: filed, wantErr: no(domain.Precondition, domain.CodeDigest, "/digest"),
			when: sign(office(), head, "10:00:00", func(a *domain.SigningAttempt) { a.Digest = digest(g) })},
		{name: "rule 6: one version is signed once", given: append(filed[:1:1], fact("09:30:00", head, signedOff)),
			when: sign(office(), head, "10:00:00", nil), wantErr: no(domain.Conflict, domain.CodeSigned, "")},
		{name: "rule 7: the filer does not sign their own", given: byHead, when: sign(office(), head, "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeOwnFiling, "")},
		{name: "rule 7: unless the regime says otherwise", given: byHead, then: []domain.Event{signedOff}, when: func(r domain.Report) ([]domain.Event, error) {
			return r.SignOff(domain.SigningAttempt{Version: 1, Digest: digest(f), CheckpointSeen: "checkpoint", Nonce: "n1", At: at("10:00:00")}, owed(), domain.Rules{SelfSignOff: true}, office(), theHead())
		}},
		{name: "rule 7: who holds no office signs nothing", given: filed, when: sign(office(), "p_other", "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 7: before taking office", given: filed, when: sign(office(succession()...), next, "9 07:59:59.999", nil), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 7: after leaving it", given: filed, when: sign(office(succession()...), head, "9 08:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 7: an authority in force and in scope", given: filed, when: sign(office(authority("1 00:00:00", "9 00:00:00", "commune")), deputy, "10:00:00", nil), then: []domain.Event{asDeputy}},
		{name: "rule 7: an authority for every form", given: filed, when: sign(office(authority("1 00:00:00", "9 00:00:00")), deputy, "10:00:00", nil), then: []domain.Event{asDeputy}},
		{name: "rule 7: an authority ends at its end", given: filed, when: sign(office(authority("1 00:00:00", "8 10:00:00")), deputy, "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeAuthorityExpired, "")},
		{name: "rule 7: an authority not yet in force", given: filed, when: sign(office(authority("9 00:00:00", "10 10:00:00")), deputy, "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeNotInOffice, "")},
		{name: "rule 7: an authority for another form", given: filed, when: sign(office(authority("1 00:00:00", "9 00:00:00", "staff")), deputy, "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeAuthorityScope, "")},
		{name: "rule 7: an authority revoked", given: filed, when: sign(office(authority("1 00:00:00", "9 00:00:00"), revoked), deputy, "10:00:00", nil), wantErr: no(domain.Forbidden, domain.CodeAuthorityExpired, "")},
		{name: "rule 7: before it was revoked", given: filed, when: sign(office(authority("1 00:00:00", "9 00:00:00"), revoked), deputy, "09:59:59", nil), then: []domain.Event{asDeputy}},
		{name: "rule 3: signed in time, recorded after the breach, withdraws it", given: append(filed[:1:1], fact("17:10:00", domain.System, breached(domain.BreachUnsigned, "17:00:00", 1))),
			when: sign(office(), head, "16:59:59.999", nil),
			then: []domain.Event{signedOff, domain.BreachWithdrawn{Breach: domain.BreachUnsigned, Reason: "signed in time, recorded after the closing", ReceivedAt: at("16:59:59.999")}}},
		{name: "rule 1: signed at 17:00 is not in time", given: append(filed[:1:1], fact("17:10:00", domain.System, breached(domain.BreachUnsigned, "17:00:00", 1))),
			when: sign(office(), head, "17:00:00", nil), then: []domain.Event{signedOff}},
		{name: "nothing was filed", when: sign(office(), head, "10:00:00", nil), wantErr: no(domain.NotFound, domain.CodeNotSubmitted, "")},
	})
}

// TestSignOffState: a later version stands unsigned until signed again; the earlier sign-off is superseded, not deleted
// (rule 6).
func TestSignOffState(t *testing.T) {
	t.Parallel()
	f, g := figures(1000, 600), figures(1000, 610)
	r := domain.Report{Key: key}
	for _, step := range []struct {
		name string
		fact domain.Fact
		want domain.SignOffState
	}{
		{"reminded", fact("08:00:00", "p_department", domain.ReminderSent{}), domain.SignOffNone},
		{"filed", fact("09:00:00", filer, submitted(f, domain.OnTime)), domain.SignOffWaiting},
		{"sent back", fact("09:10:00", head, domain.ReportReturned{Version: 1, Digest: digest(f)}), domain.SignOffReturned},
		{"signed all the same", fact("10:00:00", head, domain.ReportSignedOff{Version: 1, Digest: digest(f), Signer: head}), domain.SignOffSigned},
		{"corrected", fact("11:00:00", filer, corrected(2, f, g)), domain.SignOffSuperseded},
		{"sent back again", fact("11:10:00", head, domain.ReportReturned{Version: 2, Digest: digest(g)}), domain.SignOffReturned},
		{"corrected again, to what was signed", fact("11:20:00", filer, corrected(3, g, f)), domain.SignOffSuperseded},
		{"signed", fact("12:00:00", head, domain.ReportSignedOff{Version: 3, Digest: digest(f), Signer: head}), domain.SignOffSigned},
	} {
		r = r.Apply(step.fact)
		if got := r.SignOffState(); got != step.want || r.Signed() != (step.want == domain.SignOffSigned) {
			t.Errorf("rule 6: %s: %s, want %s", step.name, got, step.want)
		}
	}
	if len(r.SignOffs) != 2 || len(r.SignOffsOf(1)) != 1 || len(r.SignOffsOf(2)) != 0 || len(r.SignOffsOf(3)) != 1 {
		t.Errorf("rule 6: a sign-off was lost: %+v", r.SignOffs)
	}
}

// TestAnswerable: filer, signer and answerable head are three things (rule 8).
func TestAnswerable(t *testing.T) {
	t.Parallel()
	f, g := figures(1000, 600), figures(1000, 610)
	erratum := corrected(2, f, f)
	erratum.Correction = domain.CorrectionErratum
	content3 := corrected(3, f, g)
	erratum4 := corrected(4, g, g)
	erratum4.Correction = domain.CorrectionErratum
	r := domain.Report{Key: key}
	for _, f := range facts(fact("09:00:00", filer, submitted(f, domain.OnTime)), fact("9 10:00:00", filer, erratum), fact("9 11:00:00", filer, content3), fact("9 12:00:00", filer, erratum4)) {
		r = r.Apply(f)
	}
	vacant := domain.Office{Unit: unit}
	leftAt := office(fact("8 12:00:00", "p_department", domain.OfficeLeft{Unit: unit, Person: head, Until: at("14:00:00")}))
	for _, c := range []struct {
		name    string
		office  domain.Office
		version int
		due     string
		want    domain.PersonID // "" is a vacancy
	}{
		{"rule 8: the head in office at the deadline", office(), 1, "15:00:00", head},
		{"rule 8: not the head when it was filed", leftAt, 1, "15:00:00", ""},
		{"rule 8: the predecessor stays answerable after the succession", office(succession()...), 1, "15:00:00", head},
		{"rule 8: at the very deadline the successor is in office", office(succession()...), 1, "9 08:00:00", next},
		{"rule 8: a successor's erratum of form does not take it over", office(succession()...), 2, "15:00:00", head},
		{"rule 8: nor does it go back to the head when it was filed", leftAt, 2, "15:00:00", ""},
		{"rule 8: for a corrected figure the head when the correction was recorded", office(succession()...), 3, "15:00:00", next},
		{"rule 8: and so for its errata", office(succession()...), 4, "15:00:00", next},
		{"rule 8: a vacancy is shown as one", vacant, 1, "15:00:00", ""},
	} {
		got, ok := domain.Answerable(c.office, r.Versions[c.version-1], at(c.due))
		if got.Person != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, got.Person, c.want)
		}
	}
	second := domain.Report{Key: key}.Apply(fact("09:00:00", filer, submitted(f, domain.OnTime))).Apply(fact("9 11:00:00", filer, corrected(2, f, g)))
	if got, _ := domain.Answerable(office(succession()...), second.Versions[1], at("15:00:00")); got.Person != next {
		t.Errorf("rule 8: for the first correction %q", got.Person)
	}
	// Received under the predecessor, recorded under the successor.
	late := fact("9 11:00:00", filer, corrected(2, f, g))
	late.ReceivedAt = at("9 07:00:00")
	r2 := domain.Report{Key: key}.Apply(fact("09:00:00", filer, submitted(f, domain.OnTime))).Apply(late)
	if got, _ := domain.Answerable(office(succession()...), r2.Versions[1], at("15:00:00")); got.Person != next {
		t.Errorf("rule 8: the head when the correction was recorded, not when it was received: %s", got.Person)
	}
	if v := r.Versions[3]; v.Filer != filer || v.FiguresOf != 3 || !v.FiguresAt.Equal(at("9 11:00:00")) {
		t.Errorf("rule 8: %+v", v)
	}
}

// TestStatementIsCanonical: the statement is the JSON that RFC 8785 gives for what it says (rule 7).
func TestStatementIsCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("aZ09 \"\\\n\r\t\b\f\x00\x1f\x7féđ€😀\u2028<>&")))
		right := domain.SignerRight{Capacity: domain.CapacityTUQ, Authority: text.Draw(t, "authority")}
		checkpoint, nonce := text.Draw(t, "checkpoint"), text.Draw(t, "nonce")
		n := rapid.IntRange(1, 500).Draw(t, "version")
		s := domain.Statement(key, domain.Version{Number: n, Digest: "d"}, right, deputy, checkpoint, nonce)
		var got map[string]any
		if err := json.Unmarshal([]byte(s), &got); err != nil {
			t.Fatalf("%v: %s", err, s)
		}
		want := map[string]any{"authority": right.Authority, "capacity": "TUQ", "checkpoint": checkpoint, "date": "2021-02-08", "decision": "sign-off",
			"digest": "d", "form": "commune", "nonce": nonce, "regime": "bluezone", "signer": "p_deputy", "unit": "25900", "v": "answerable/sign-off/1", "version": float64(n)}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if canonical := rfc8785(want); s != canonical {
			t.Fatalf("got  %s\nwant %s", s, canonical)
		}
	})
}
