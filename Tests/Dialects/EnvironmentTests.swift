// decK's templates.

import Dialects
import Model
import Testing

private func service(_ template: String, _ environment: [String: String] = ["DECK_X": "8080"]) -> (
    GatewayModel?, [Diagnostic]
) {
    load(
        "_format_version: \"3.0\"\nservices:\n- name: a\n  host: a\n  \(template)", environment: environment)
}

@Test(
    "a template is replaced before the file is read",
    arguments: [
        "port: ${{ env \"DECK_X\" }}", "port: ${{env \"DECK_X\"|toInt}}", "port: ${{ toInt (env \"DECK_X\") }}",
        "{port: ${{ env \"DECK_X\" | toFloat }}}",
    ])
func ports(template: String) throws {
    let line = template.hasPrefix("{") ? "<<: \(template)" : template
    let (model, findings) = service(line)
    #expect(try #require(model, "\(findings)").services[0].port == 8080)
}

@Test(
    "what cannot be rendered is refused at its line",
    arguments: [
        ("port: ${{ env \"DECK_Y\" }}", "K010"), ("port: ${{ env \"HOME\" }}", "K011"),
        ("enabled: ${{ env \"DECK_X\" | toBool }}", "K011"), ("port: ${{ env \"DECK_X\" | upper }}", "K012"),
        ("port: ${{ env DECK_X }}", "K012"), ("port: ${{ env \"DECK_X\"", "K012"), ("port: ${{ }}", "K012"),
    ])
func unrenderable(template: String, code: String) {
    let (model, findings) = service(template)
    #expect(model == nil)
    #expect(findings.first?.code == code)
    #expect(findings.first?.line == 5)
}

@Test("lines after a value of several lines are still the file's own")
func lineMap() {
    let result = load(
        """
        _format_version: "3.0"
        certificates:
        - key: k
          cert: |
            ${{ env "DECK_CERT" | indent 4 }}
        nonsense: 1
        services:
        - name: x
        """, environment: ["DECK_CERT": "one\ntwo\nthree"])
    #expect(result.findings.map { "\($0.code):\($0.line)" } == ["K120:6", "K102:8"])
}

@Test("a secret's value is in no finding")
func secretsStaySecret() {
    let (_, findings) = service("port: ${{ env \"DECK_X\" | toInt }}", ["DECK_X": "hunter2"])
    #expect(!findings.isEmpty)
    #expect(!findings.contains { "\($0)".contains("hunter2") })
}
