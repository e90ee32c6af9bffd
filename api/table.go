package api

import "slices"

// table is every route there is.
func (h *Handler) table() []*route {
	return slices.Concat(
		h.reportRoutes(), h.signOffRoutes(), h.breachRoutes(), h.importRoutes(),
		h.regimeRoutes(), h.dayRoutes(), h.unitRoutes(), h.officeRoutes(), h.personRoutes(), h.formRoutes(), h.wordRoutes(),
		h.complianceRoutes(), h.historyRoutes(), h.synthesisRoutes(), h.targetRoutes(), h.eventRoutes(), h.receiptRoutes(), h.bundleRoutes(), h.operationRoutes(), h.rebuildRoutes(), h.pageRoutes(),
	)
}
