package transparency

import "testing"

func BenchmarkParseLeaf(b *testing.B) {
	leaf := mustAppend(b, sampleLeaf())
	b.SetBytes(int64(len(leaf)))
	for b.Loop() {
		if _, err := ParseLeaf(leaf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendLeaf(b *testing.B) {
	l := sampleLeaf()
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		if _, err := l.Append(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeafHash(b *testing.B) {
	leaf := mustAppend(b, sampleLeaf())
	b.SetBytes(int64(len(leaf)))
	for b.Loop() {
		LeafHash(leaf)
	}
}

func BenchmarkStreams(b *testing.B) {
	s := NewStreams("ledger.example/binhduong")
	l := sampleLeaf()
	l.Revision = 0
	for b.Loop() {
		if err := s.Add(&l); err != nil {
			b.Fatal(err)
		}
		l.Revision++
	}
}

func BenchmarkSalts(b *testing.B) {
	var k SaltKey
	for b.Loop() {
		k.Salts(sampleID)
	}
}
