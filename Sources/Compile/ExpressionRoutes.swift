// Checks the expressions of routes, with the parser that the proxy has.

internal import Model
internal import Snapshot

extension Compilation {
    /// Reports the first mistake in a route's expression, or what in it hardly means what it says.
    mutating func checkExpression(_ entity: RouteEntity) {
        guard !entity.expression.isEmpty else { return }
        let domain: RouteExpression.Domain = entity.isStream ? .stream : .http
        do throws(ExpressionError) {
            let remarks = try expressions.check(entity.expression, domain: domain)
            for remark in remarks {
                reportExpression(
                    entity, .warning, remark.kind == .deprecated ? .deprecated : .badValue,
                    remark.message + "\(ExpressionPlace(remark.range, in: entity.expression))", remedy: remark.remedy)
            }
        } catch {
            reportExpression(
                entity, .error, .expression, error.located(in: entity.expression), remedy: error.remedy)
        }
    }

    private mutating func reportExpression(
        _ entity: RouteEntity, _ severity: Diagnostic.Severity, _ code: DiagnosticCode, _ message: String,
        remedy: String
    ) {
        findings.append(
            Diagnostic(
                severity, code: code.rawValue, file: file, line: entity.expressionLine,
                column: entity.expressionColumn, entity: label(entity), field: "expression", message: message,
                remedy: remedy))
    }
}
