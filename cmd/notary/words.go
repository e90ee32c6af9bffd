package main

import (
	"errors"
	"time"

	"github.com/answerable-ledger/answerable/transparency"
)

// vietNam is the time people are shown: no daylight saving, so no table of zones is needed.
var vietNam = time.FixedZone("+07:00", 7*60*60)

// words is everything said to people, in one language.
type words struct {
	clock string // layout of an instant

	// Verdicts of verify.
	proven, witnessedNotProven, witnessed, loggedNotWitnessed, loggedNotProven, logged, recorded string
	// Verdicts of audit.
	auditGood, auditPartly, auditUnwitnessed, auditNoWitness string
	// Verdicts of verify on a bundle, and its rows.
	bundleWitnessed, bundleLogged, bundlePending                                          string
	bundleAbout, bundleSigned, bundleSignedOf, bundleFiled, bundleUnjudged, bundleAnswers string
	// A fault.
	bad, reason, place, detail string
	kinds                      map[string]string
	// Names of rows.
	log, event, received, recordedAt, ledgersClock, actor, entry, entryOf, witness, unknown                                  string
	content, contentMatches, contentNotShown                                                                                 string
	root, streams, checkpoints, checkpointsOf, span, witnessedAt, opened, daysJudged, daysOf, judged, judgedOf, daysNotShown string
	signOffsNotShown, filingsNotShown, signaturesUnknown                                                                     string
	logKeys, logKeysOf, logKeyUnnamed                                                                                        string
}

// at shows a second, as witnesses tell it; exactly shows what the ledger's clock said.
func (w words) at(t time.Time) string { return t.In(vietNam).Format(w.clock) }

func (w words) exactly(t time.Time) string {
	return t.In(vietNam).Format(w.clock[:8] + ".000" + w.clock[8:])
}

// kindOf names a fault for machines; the words for people are under the same name.
func kindOf(err error) string {
	for _, k := range []struct {
		err  error
		name string
	}{
		{errJudgement, "judgement"},
		{errSigned, "signed"},
		{errBundle, "bundle"},
		{transparency.ErrFork, "fork"},
		{transparency.ErrOlder, "older"},
		{transparency.ErrOrigin, "other-log"},
		{transparency.ErrSignature, "signature"},
		{transparency.ErrCommitment, "commitment"},
		{transparency.ErrSequence, "sequence"},
		{transparency.ErrTime, "time"},
		{transparency.ErrProof, "proof"},
		{transparency.ErrMalformed, "malformed"},
	} {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "missing"
}

var vietnamese = words{
	clock: "15:04:05 02/01/2006 (-07:00)",

	proven:             "ĐÃ CHỨNG MINH: bản ghi này đã có trong sổ trước %s.",
	witnessedNotProven: "CHƯA CHỨNG MINH được là trước %s: các nhân chứng chỉ xác nhận bản ghi đã có trong sổ trước %s.",
	witnessed:          "ĐÃ CÓ NHÂN CHỨNG: bản ghi này đã có trong sổ trước %s, theo đồng hồ của các nhân chứng.",
	loggedNotWitnessed: "ĐÃ VÀO SỔ nhưng CHƯA ĐỦ NHÂN CHỨNG: đơn vị vận hành đã ký, chưa đủ nhân chứng độc lập xác nhận.",
	loggedNotProven:    "ĐÃ VÀO SỔ nhưng không chứng minh được là trước %s: chính sách này không hỏi nhân chứng nào.",
	logged:             "ĐÃ VÀO SỔ: đơn vị vận hành đã ký sổ có bản ghi này.",
	recorded:           "MỚI GHI NHẬN: đơn vị vận hành nói đã ghi; chưa có gì chứng minh. Hãy lấy lại biên nhận sau ít phút.",

	auditGood:        "SỔ ĐÚNG: cả %d bản ghi khớp với chữ ký và đều đã có đủ nhân chứng.",
	auditPartly:      "SỔ ĐÚNG: cả %d bản ghi khớp với chữ ký; nhân chứng mới xác nhận %d bản ghi đầu.",
	auditUnwitnessed: "SỔ CHƯA CÓ NHÂN CHỨNG: cả %d bản ghi khớp với chữ ký của đơn vị vận hành, nhưng chưa mốc nào có đủ nhân chứng.",
	auditNoWitness:   "SỔ ĐÚNG VỚI CHỮ KÝ: cả %d bản ghi khớp; chính sách này không hỏi nhân chứng nào.",

	bundleWitnessed: "HỒ SƠ ĐÚNG: cả %d bản ghi đều có trong sổ và đã có đủ nhân chứng.",
	bundleLogged:    "HỒ SƠ ĐÚNG VỚI CHỮ KÝ: cả %d bản ghi đều có trong sổ; chính sách này không hỏi nhân chứng nào.",
	bundlePending:   "HỒ SƠ CHƯA ĐỦ: các phần khớp nhau, nhưng trong %d bản ghi có bản chưa vào sổ hoặc chưa đủ nhân chứng.",
	bundleAbout:     "Đơn vị, ngày", bundleSigned: "Ký duyệt", bundleSignedOf: "%d, trong đó %d có chữ ký số đúng", bundleFiled: "Báo cáo do máy của đơn vị ký, chữ ký đúng", bundleUnjudged: "Chữ ký chưa xét được (thiếu --site hoặc --roots)",
	bundleAnswers: "Kết luận của sổ đã đối chiếu",

	bad: "KHÔNG HỢP LỆ.", reason: "Lý do", place: "Chỗ sai đầu tiên", detail: "Chi tiết",
	kinds: map[string]string{
		"fork":       "sổ bị rẽ nhánh: đơn vị vận hành đã ký hai lịch sử trái ngược nhau; hãy giữ lại toàn bộ phần chi tiết làm bằng chứng",
		"older":      "sổ ngắn hơn lần đã thấy trước đây: đây là bản cũ, hoặc bản ghi đã bị rút đi",
		"other-log":  "thuộc về một sổ khác",
		"signature":  "chữ ký không có hoặc không đúng",
		"commitment": "nội dung đưa ra không phải nội dung đã được cam kết trong sổ",
		"sequence":   "có bản ghi bị thiếu, bị lặp, bị chèn, đổi thứ tự hoặc lùi ngày",
		"time":       "thời điểm ghi trái với đồng hồ của các nhân chứng",
		"proof":      "mã băm không dẫn tới gốc đã ký: bản ghi hoặc bằng chứng đã bị sửa",
		"malformed":  "tệp không đúng định dạng: bị hỏng hoặc bị sửa",
		"judgement":  "sổ đã chấm đúng hạn hoặc vi phạm trái với quy tắc của chính nó",
		"signed":     "điều đã ký trái với bản ghi trong sổ, người ký không có quyền ký, hoặc một chữ ký bị dùng lại",
		"bundle":     "các phần của hồ sơ trái ngược nhau: hồ sơ đã bị sửa, hoặc sổ đọc sai các sự kiện của chính nó",
		"missing":    "thiếu tệp",
	},

	log: "Sổ", event: "Sự việc", received: "Hệ thống nhận lúc", recordedAt: "Ghi sổ lúc", ledgersClock: "(đồng hồ của đơn vị vận hành)", actor: "Người thực hiện",
	entry: "Vị trí", entryOf: "bản ghi số %d trong sổ có %d bản ghi", witness: "Nhân chứng", unknown: "Chữ ký không rõ của ai",
	content: "Nội dung", contentMatches: "đúng như đã cam kết trong sổ", contentNotShown: "không kèm theo (chỉ có cam kết)",
	root: "Gốc", streams: "Số luồng", checkpoints: "Mốc kiểm", checkpointsOf: "%d, trong đó %d đủ nhân chứng", span: "Ghi từ – đến", witnessedAt: "Mốc mới nhất được xác nhận từ – đến", opened: "Nội dung đã đối chiếu",
	daysJudged: "Ngày đã chấm lại", daysOf: "%d, trong đó %d đã chốt", judged: "Nghĩa vụ đã chấm lại",
	judgedOf: "%d: đúng hạn %d, trễ %d, thiếu %d, được miễn %d, không xác định được %d", daysNotShown: "Ngày chưa được cho xem nội dung",
	signOffsNotShown: "Bản ký duyệt không kèm nội dung, không kiểm được", filingsNotShown: "Báo cáo không kèm nội dung, không biết có chữ ký của máy hay không",
	signaturesUnknown: "Chữ ký không xác định được (không thấy việc đăng ký khóa, chức vụ hoặc mốc đã xem)",
	logKeys:           "Khóa ký sổ", logKeysOf: "%d đã ghi trong sổ, %d đang dùng", logKeyUnnamed: "Khóa đang dùng mà chính sách chưa nêu (hãy xin bản chính sách mới)",
}

var english = words{
	clock: "15:04:05 2 Jan 2006 (-07:00)",

	proven:             "PROVEN: this entry was in the log before %s.",
	witnessedNotProven: "NOT PROVEN to be before %s: the witnesses only confirm that the entry was in the log before %s.",
	witnessed:          "WITNESSED: this entry was in the log before %s, by the witnesses' clocks.",
	loggedNotWitnessed: "LOGGED but NOT YET WITNESSED: the operator has signed for it; too few independent witnesses have.",
	loggedNotProven:    "LOGGED, and not proven to be before %s: this policy asks no witness.",
	logged:             "LOGGED: the operator has signed a log that holds this entry.",
	recorded:           "RECORDED only: the operator says so and nothing proves it yet. Fetch the receipt again in a few minutes.",

	auditGood:        "THE LOG HOLDS: all %d entries match the signatures, and all of them are witnessed.",
	auditPartly:      "THE LOG HOLDS: all %d entries match the signatures; the first %d are witnessed.",
	auditUnwitnessed: "NOT WITNESSED: all %d entries match the operator's signatures, and no checkpoint has enough witnesses.",
	auditNoWitness:   "THE LOG MATCHES ITS SIGNATURES: all %d entries; this policy asks no witness.",

	bundleWitnessed: "THE BUNDLE HOLDS: all %d entries are in the log and witnessed.",
	bundleLogged:    "THE BUNDLE MATCHES ITS SIGNATURES: all %d entries are in the log; this policy asks no witness.",
	bundlePending:   "NOT PROVEN YET: the parts agree, and of %d entries some are not in the log yet or not witnessed yet.",
	bundleAbout:     "Unit, days", bundleSigned: "Sign-offs", bundleSignedOf: "%d, of them %d with a signature that holds", bundleFiled: "Reports signed by the unit's machine, with a signature that holds", bundleUnjudged: "Signatures not judged (--site or --roots is missing)",
	bundleAnswers: "Readings of the ledger compared",

	bad: "NOT VALID.", reason: "Reason", place: "First bad place", detail: "Detail",
	kinds: map[string]string{
		"fork":       "the log was forked: its operator signed two histories that contradict each other; keep all of the detail as evidence",
		"older":      "the log is shorter than it was seen before: this is an older copy, or entries were taken back",
		"other-log":  "it belongs to another log",
		"signature":  "a signature is missing or wrong",
		"commitment": "the content shown is not the content the log committed to",
		"sequence":   "an entry is missing, doubled, inserted, out of order or backdated",
		"time":       "a recorded time contradicts the witnesses' clocks",
		"proof":      "the hashes do not lead to the signed root: an entry or the proof was changed",
		"malformed":  "the file is not in its format: damaged or changed",
		"judgement":  "the ledger judged a deadline or a breach against its own rules",
		"signed":     "what was signed contradicts the entries, its signer had no such right, or a signature was used twice",
		"bundle":     "parts of the bundle contradict each other: it was changed, or the ledger misread its own events",
		"missing":    "a file is missing",
	},

	log: "Log", event: "Event", received: "Received at", recordedAt: "Recorded at", ledgersClock: "(the operator's clock)", actor: "By",
	entry: "Entry", entryOf: "number %d in a log of %d", witness: "Witness", unknown: "Signatures by nobody known",
	content: "Content", contentMatches: "as committed to in the log", contentNotShown: "not shown (committed to only)",
	root: "Root", streams: "Streams", checkpoints: "Checkpoints", checkpointsOf: "%d, of them %d witnessed", span: "Recorded from – to", witnessedAt: "Newest checkpoint witnessed from – to", opened: "Contents compared",
	daysJudged: "Days judged again", daysOf: "%d, of them %d closed", judged: "Duties judged again",
	judgedOf: "%d: %d on time, %d late, %d missing, %d exempt, %d not determinable", daysNotShown: "Days whose content was not shown",
	signOffsNotShown: "Sign-offs whose content was not shown, not checkable", filingsNotShown: "Reports whose content was not shown: whether a machine signed them is not known",
	signaturesUnknown: "Signatures not determinable (keys, offices or the checkpoint seen were not shown)",
	logKeys:           "Keys of the log", logKeysOf: "%d recorded in it, %d in use", logKeyUnnamed: "Key in use that your policy does not name (ask for a newer one)",
}
