package ui

// Receipt is what proves that an event is in the ledger.
type Receipt struct {
	Event string
	Level string // recorded, logged, witnessed
	Index int64  // of the entry; -1 while it is only recorded
	Size  int64  // of the log that it is proved to be in
	Text  string // a C2SP tlog-proof, or the bare entry
	Code  *Code  // of the text; nil where it is too long
}

// Code is a QR code as the path of an SVG, in modules.
type Code struct {
	Size int
	Path string
}

// Proof shows a receipt, and lets the browser check it.
type Proof struct {
	Frame
	Receipt Receipt
}

func (Proof) template() string { return "proof" }
