package domain

// Every bound of the ledger, with its reason. A bound without a better reason says "chosen".
const (
	// MaxFigure is the greatest figure: 2^53, above which JSON numbers lose units in most readers (RFC 8259, 6).
	MaxFigure int64 = 1 << 53
	// MaxFields is how many figures a form may hold. Chosen: the longest form known has below 40.
	MaxFields = 200
	// MaxTextBytes bounds reasons, notes and explanations in UTF-8 bytes. Chosen: two printed pages.
	MaxTextBytes = 8 << 10
	// MaxNameBytes bounds names of units, persons and offices. Chosen.
	MaxNameBytes = 300
	// MaxUnitsPerDay bounds the obligations of one duty on one day: a DayOpened of that many official codes (some 8 bytes
	// each) has a third of the 900 KiB an event may have in every store. What all duties together may name is what fits
	// there: a day beyond it is refused with day_too_large.
	MaxUnitsPerDay = 40_000
	// MaxVersions bounds the versions of one report: the fold of one stream stays below a millisecond. Chosen.
	MaxVersions = 500
	// MaxChildren bounds what one consolidated report sums. Chosen: no level has more than some hundreds of children.
	MaxChildren = 2_000
	// MaxGraceMinutes bounds the wait between a deadline and its closing: a day is closed before the next one's.
	MaxGraceMinutes = 8 * 60
	// MaxRegimeDays bounds FirstDay to LastDay. Chosen: ten years.
	MaxRegimeDays = 3_660
	// MaxBodyBytes bounds a request body; an import file has MaxImportBytes.
	MaxBodyBytes = 256 << 10
	// MaxImportBytes bounds an import file: 40,000 rows of some 200 bytes.
	MaxImportBytes = 16 << 20
	// MaxClockSkewSeconds is how far a caller's stated time of receipt may lie after the ledger's clock.
	MaxClockSkewSeconds = 5
)
