package schemas

import (
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func atP(s string) *time.Time { t := at(s); return &t }

var sampleKey = domain.ReportKey{Regime: "bluezone_2021", Form: "commune", Unit: "25900", Date: "2021-02-08"}

func sampleDigest(c domain.Content) string { return c.Digest(sampleKey) }

// samples is one event of every kind, every member of it present: what the golden files of the current versions say.
func samples() []domain.Event {
	filed := domain.Content{FormVersion: 2, Figures: domain.Figures{"smartphone_users": 8123, "installed": 4410, "new_today": 312, "households_visited": 1204}}
	corrected := domain.Content{FormVersion: 2, Figures: domain.Figures{"smartphone_users": 8123, "installed": 4401, "new_today": 303},
		Children: []domain.ChildPin{{Unit: "25901", Version: 2, Digest: sampleDigest(filed)}}}
	rules := domain.Rules{
		Title: "Về việc triệt để triển khai cài đặt ứng dụng Bluezone", TitleEn: "On installing the Bluezone application", Number: "03/CT-UBND",
		IssuedOn: "2021-02-05", IssuedBy: "Chủ tịch UBND tỉnh Bình Dương", Zone: "Asia/Ho_Chi_Minh", FirstDay: "2021-02-05", LastDay: "2021-02-10",
		SkipDays: []domain.Date{"2021-02-12"},
		Duties: []domain.Duty{{ID: "d2a", Item: "2a", Name: domain.Wording{Vi: "Báo cáo của cấp xã", En: "Commune report"}, Form: "commune", FormVersion: 2,
			Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}, Types: []string{"Phường"}, Units: []domain.UnitCode{"25900"}},
			CutOff:  "12:00", Due: "14:00", GraceMinutes: 10, SignOffDue: "17:00:30", Consolidates: "d1"}},
		Targets: []domain.Target{{ID: "t60", Name: domain.Wording{Vi: "Đạt từ 60% trở lên", En: "At least 60%"}, Duty: "d2a", Numerator: "installed",
			Denominator: "smartphone_users", AtLeastPercent: 60, On: "2021-02-10"}},
		SelfSignOff: true, Assumptions: []domain.Wording{{Vi: "Chỉ thị không nêu thời hạn của cấp xã", En: "The directive states no deadline for communes"}},
	}
	return []domain.Event{
		domain.RegimeIssued{Regime: "bluezone_2021", Rules: rules},
		domain.RegimeAmended{Regime: "bluezone_2021", Version: 2, Rules: rules, Reason: "Lùi thời hạn của cấp xã", GrantedBy: "p_stttt"},
		domain.DeadlineExtended{Regime: "bluezone_2021", Date: "2021-02-08", Duty: "d2a", Units: []domain.UnitCode{"25900"}, Due: at("2021-02-08T09:00:00Z"), Reason: "Mất điện", GrantedBy: "p_stttt"},
		domain.DayExempted{Regime: "bluezone_2021", Date: "2021-02-08", Duties: []domain.DutyID{"d2a"}, Units: []domain.UnitCode{"25900"}, Reason: "Phong tỏa", GrantedBy: "p_stttt"},
		domain.RegimeClosed{Regime: "bluezone_2021", LastDay: "2021-02-10", Reason: "Hết thời hạn", GrantedBy: "p_stttt"},
		domain.DayOpened{Regime: "bluezone_2021", Date: "2021-02-08", RegimeVersion: 1, Duties: []domain.DayDuty{{Duty: "d2a", Form: "commune", FormVersion: 2,
			CutOff: atP("2021-02-08T05:00:00Z"), Due: at("2021-02-08T07:00:00Z"), GraceSeconds: 600, SignOffDue: atP("2021-02-08T10:00:00Z"), Consolidates: "staff",
			Groups: []domain.DutyGroup{{Parent: "718", Units: []domain.UnitCode{"25741", "25744"}}, {Units: []domain.UnitCode{"so_tttt"}}}}}},
		domain.DayClosed{Regime: "bluezone_2021", Date: "2021-02-08", RegimeVersion: 1, ClosedAt: at("2021-02-08T08:10:00.25Z"),
			Counts:      domain.Counts{Obligations: 100, OnTime: 90, Late: 4, Missing: 5, Exempt: 1, Nil: 2},
			ViewsDigest: "4f0c1e6f3f2d6f3a9b6f0f6d3c2b1a09f8e7d6c5b4a392817065544332211000", ViewsPosition: "5123"},
		domain.ReportIssued{Regime: "bluezone_2021", Date: "2021-02-08", Number: 1, To: "UBND tỉnh", IssuedBy: "p_stttt", Note: "Số liệu tổng hợp lúc 16:00",
			Parts: []domain.IssuedTotal{{Form: "commune", Scope: domain.ScopeTerritory, Figures: filed.Figures, Expected: 91,
				Inputs:       []domain.IssuedVersion{{Version: 1, Units: []domain.UnitCode{"25900"}}},
				InputsDigest: domain.PinsDigest([]domain.ChildPin{{Unit: "25900", Version: 1, Digest: sampleDigest(filed)}}), Missing: []domain.UnitCode{"25741"}}}},
		domain.UnitRegistered{Unit: "25900", Level: domain.LevelCommune, Type: "Thị trấn", Name: "Tân Bình", NameEn: "Tan Binh", Parent: "726", EffectiveOn: "2021-02-01",
			Source: "Nghị quyết 1196/NQ-UBTVQH14", Synthetic: true},
		domain.UnitRenamed{Unit: "25900", Name: "Tân Bình", NameEn: "Tan Binh", EffectiveOn: "2021-02-01", Basis: "Nghị quyết 1196/NQ-UBTVQH14"},
		domain.UnitReclassified{Unit: "25900", Type: "Thị trấn", Name: "Thị trấn Tân Bình", EffectiveOn: "2021-02-01", Basis: "Nghị quyết 1196/NQ-UBTVQH14"},
		domain.UnitMoved{Unit: "25900", Parent: "726", EffectiveOn: "2021-02-01", Basis: "Quyết định"},
		domain.UnitMerged{Unit: "25900", Into: "25903", EffectiveOn: "2021-02-01", Basis: "Quyết định"},
		domain.UnitDissolved{Unit: "25900", EffectiveOn: "2021-02-01", Basis: "Quyết định"},
		domain.OfficeTaken{Unit: "25900", Person: "p_1", Capacity: domain.CapacityActing, Title: "Quyền Chủ tịch UBND thị trấn", From: at("2021-01-31T17:00:00Z"), Decision: "12/QĐ-UBND"},
		domain.OfficeLeft{Unit: "25900", Person: "p_1", Until: at("2021-02-08T17:00:00Z"), Reason: "Điều động"},
		domain.AuthorityGranted{Unit: "25900", Authority: "uq_1", Person: "p_2", Capacity: domain.CapacityTUQ, Title: "Văn phòng", Forms: []domain.FormID{"commune"},
			From: at("2021-02-05T00:00:00Z"), Until: at("2021-02-09T00:00:00Z"), GrantedBy: "p_1", Decision: "13/GUQ"},
		domain.AuthorityRevoked{Unit: "25900", Authority: "uq_1", At: at("2021-02-08T00:00:00Z"), RevokedBy: "p_1", Reason: "Hết nhu cầu"},
		domain.PersonRegistered{Person: "p_1", Name: "Nguyễn Văn A (giả định)", Synthetic: true},
		domain.RoleGranted{Person: "p_1", Role: domain.RoleFiler, Unit: "25900", From: at("2021-02-01T00:00:00Z"), Until: atP("2021-03-01T00:00:00Z"), GrantedBy: "p_admin"},
		domain.RoleRevoked{Person: "p_1", Role: domain.RoleFiler, Unit: "25900", At: at("2021-02-09T00:00:00Z"), RevokedBy: "p_admin", Reason: "Chuyển công tác"},
		domain.CredentialEnrolled{Person: "p_1", Credential: "Y3JlZA", Method: "webauthn", PublicKey: "pQECAyYgASFYIA", Detail: "Khóa văn phòng", EnrolledBy: "p_1"},
		domain.CredentialRevoked{Person: "p_1", Credential: "Y3JlZA", At: at("2021-02-09T00:00:00Z"), RevokedBy: "p_admin", Reason: "Mất khóa"},
		domain.SignInMethodSet{Person: "p_1", Method: domain.SignInOIDC, Issuer: "https://sso.binhduong.example", Digest: "4f0c1e6f3f2d6f3a9b6f0f6d3c2b1a09f8e7d6c5b4a392817065544332211000", Link: "9f8e7d6c5b4a3928", LinkBy: "p_admin", SetBy: "p_1"},
		domain.SignInMethodEnded{Person: "p_1", Method: domain.SignInOIDC, Digest: "4f0c1e6f3f2d6f3a9b6f0f6d3c2b1a09f8e7d6c5b4a392817065544332211000", At: at("2021-02-09T00:00:00Z"), EndedBy: "p_admin", Reason: "Chuyển công tác"},
		domain.ReportSubmitted{Regime: sampleKey.Regime, Form: sampleKey.Form, FormVersion: 2, Unit: sampleKey.Unit, Date: sampleKey.Date, Figures: filed.Figures,
			Note: "Mẫu số giảm vì đã loại máy trùng “2 SIM”; đã đối chiếu với 6 khu phố.\nNgười đối chiếu: tổ công nghệ.", Digest: sampleDigest(filed),
			Due: at("2021-02-08T07:00:00Z"), RegimeVersion: 1, Timeliness: domain.Late,
			Findings:  []domain.Finding{{Rule: domain.FindingDenominator, RuleVersion: 1, Field: "smartphone_users", Was: 9500, Is: 8123}, {Rule: domain.FindingRepeat, RuleVersion: 1}},
			Statement: `{"decision":"file","note":"…"}`, Signature: &domain.Signature{Method: "ed25519", Credential: "bWF5", Signature: "MEUCIQ"}},
		domain.ReportCorrected{Regime: sampleKey.Regime, Form: sampleKey.Form, FormVersion: 2, Unit: sampleKey.Unit, Date: sampleKey.Date, Version: 2, Replaces: 1,
			ReplacesDigest: sampleDigest(filed), Correction: domain.CorrectionContent, Reason: "Đếm trùng 9 người", Figures: corrected.Figures, Note: "Đã rà soát",
			Digest: sampleDigest(corrected), Findings: []domain.Finding{{Rule: domain.FindingFall, RuleVersion: 1, Field: "installed", Was: 4410, Is: 4401}},
			Children: corrected.Children, Missing: []domain.UnitCode{"25902"},
			Statement: `{"decision":"correct","note":"…"}`, Signature: &domain.Signature{Method: "ed25519", Credential: "bWF5", Signature: "MEUCIQ"}},
		domain.ReportReturned{Version: 1, Digest: sampleDigest(filed), Reason: "Thiếu khu phố 3", ReturnedBy: "p_1"},
		domain.ReportSignedOff{Version: 2, Digest: sampleDigest(corrected), Signer: "p_2", Capacity: domain.CapacityKT, Title: "Phó Chủ tịch", Authority: "uq_1",
			Statement: `{"capacity":"KT","digest":"…"}`, CheckpointSeen: "answerable.example/ledger\n42\nq1b2c3=\n",
			Signature: &domain.Signature{Method: "webauthn", Credential: "Y3JlZA", Signature: "MEUCIQ", ClientData: "eyJ0eXBlIjoi", AuthenticatorData: "SZYN5Q"}},
		domain.DeadlineBreached{Regime: sampleKey.Regime, Form: sampleKey.Form, Unit: sampleKey.Unit, Date: sampleKey.Date, Duty: "d2a", Breach: domain.BreachUnsigned,
			Due: at("2021-02-08T10:00:00Z"), RegimeVersion: 1, Version: 2},
		domain.BreachWithdrawn{Breach: domain.BreachMissing, Reason: "received in time, recorded after the closing", ReceivedAt: at("2021-02-08T06:59:59.999999999Z")},
		domain.BreachExplained{Breach: domain.BreachLate, Text: "Mất điện từ 13 giờ", ExplainedBy: "p_1"},
		domain.BreachExcused{Breach: domain.BreachLate, Reason: "Điện lực xác nhận", GrantedBy: "p_stttt"},
		domain.BreachUpheld{Breach: domain.BreachLate, Reason: "Không có xác nhận", UpheldBy: "p_stttt"},
		domain.ReminderSent{Regime: sampleKey.Regime, Form: sampleKey.Form, Unit: sampleKey.Unit, Date: sampleKey.Date, SentBy: "p_726", Via: "điện thoại", Text: "Còn 30 phút"},
		domain.TargetJudged{Regime: sampleKey.Regime, RegimeVersion: 1, Target: "t60", Unit: sampleKey.Unit, Form: sampleKey.Form, Date: "2021-02-10", Met: true,
			Numerator: 4996, Denominator: 8123, AtLeastPercent: 60, Version: 1, Digest: sampleDigest(filed)},
		domain.LogKeyIntroduced{Origin: "answerable.example/ledger", Key: "answerable.example/ledger+1b2c3d4e+AQ==", Beside: "answerable.example/ledger+0a1b2c3d+AQ==", IntroducedBy: "p_admin"},
		domain.LogKeyRetired{Origin: "answerable.example/ledger", Key: "answerable.example/ledger+0a1b2c3d+AQ==", Successor: "answerable.example/ledger+1b2c3d4e+AQ==", RetiredBy: "p_admin"},
	}
}

// sampleOf is the meaning of the golden sample of one version. The sample of ReportSubmitted version 1 was filed under
// version 1 of its form too: reading it keeps that form and its digest, and adds no figure.
func sampleOf(current domain.Event, version int) domain.Event {
	switch e := current.(type) {
	case domain.ReportSubmitted:
		if version < 3 { // no machine signed yet
			e.Statement, e.Signature = "", nil
		}
		if version == 1 {
			e.FormVersion = 1
			e.Figures = domain.Figures{"smartphone_users": 8123, "installed": 4410, "new_today": 312}
			e.Digest = sampleDigest(domain.Content{FormVersion: 1, Figures: e.Figures})
		}
		return e
	case domain.ReportCorrected:
		if version < 2 {
			e.Statement, e.Signature = "", nil
		}
		return e
	}
	return current
}
