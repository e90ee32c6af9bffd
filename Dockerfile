# A static image: one binary, no shell, no package manager.
FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/answerable ./cmd/answerable \
 && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/notary ./cmd/notary \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/answerable /out/notary /
COPY --from=build --chown=65532:65532 /out/data /var/lib/answerable
# The second copy of the last signed checkpoint (docs/evidence.md): on another disk than the data, and in no backup of them.
COPY --from=build --chown=65532:65532 /out/data /var/lib/answerable-guard
USER 65532:65532
VOLUME /var/lib/answerable /var/lib/answerable-guard
EXPOSE 8080
ENTRYPOINT ["/answerable"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data", "/var/lib/answerable"]
