/**
 * How strings in objects must read. Each check answers undefined, or a sentence that names the rule and an example.
 * Names follow RFC 1123 and RFC 1035 as Kubernetes reads them.
 */
import { parseQuantity } from './quantity.ts';

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const serviceNamePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const labelValuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const qualifiedNamePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const quoted = (text: string): string => JSON.stringify(text.length > 70 ? `${text.slice(0, 70)}...` : text);

export function dnsLabelProblem(text: string): string | undefined {
  if (text.length > 63) return `${quoted(text)} is longer than 63 characters`;
  if (labelPattern.test(text)) return undefined;
  return `${quoted(text)} is not a name; use lower case letters, digits and "-", beginning and ending with a letter or digit, such as "web-1"`;
}

export function dnsSubdomainProblem(text: string): string | undefined {
  if (text.length > 253) return `${quoted(text)} is longer than 253 characters`;
  if (subdomainPattern.test(text)) return undefined;
  return `${quoted(text)} is not a name; use lower case letters, digits, "-" and ".", beginning and ending with a letter or digit, such as "web-1"`;
}

/** RFC 1035: as a DNS label, but beginning with a letter. */
export function serviceNameProblem(text: string): string | undefined {
  if (text.length > 63) return `${quoted(text)} is longer than 63 characters`;
  if (serviceNamePattern.test(text)) return undefined;
  return `${quoted(text)} is not a service name; use lower case letters, digits and "-", beginning with a letter, such as "web-1"`;
}

export function labelValueProblem(text: string): string | undefined {
  if (text.length > 63) return `the value ${quoted(text)} is longer than 63 characters`;
  if (labelValuePattern.test(text)) return undefined;
  return `${quoted(text)} is not a label value; use letters, digits, "-", "_" and ".", beginning and ending with a letter or digit`;
}

/** Keys of labels and annotations: `name` or `prefix.example.org/name`. */
export function qualifiedNameProblem(text: string): string | undefined {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  if (slash >= 0) {
    const prefixProblem = dnsSubdomainProblem(text.slice(0, slash));
    if (prefixProblem) return `the part before "/": ${prefixProblem}`;
  }
  if (name.length > 63) return `${quoted(name)} is longer than 63 characters`;
  if (qualifiedNamePattern.test(name)) return undefined;
  return `${quoted(text)} is not a key; use letters, digits, "-", "_" and ".", with an optional prefix such as "example.org/"`;
}

export function isIPv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIPv6(text: string): boolean {
  return text.includes(':') && /^[0-9A-Fa-f:.]+$/.test(text) && URL.canParse(`http://[${text}]/`);
}

export function ipProblem(text: string): string | undefined {
  return isIPv4(text) || isIPv6(text) ? undefined : `${quoted(text)} is not an IP address, such as 10.0.0.1`;
}

function cidrProblem(text: string): string | undefined {
  const [address = '', bits = '', ...rest] = text.split('/');
  const longest = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  if (rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= longest) return undefined;
  return `${quoted(text)} is not an address range, such as 10.42.1.0/24`;
}

function quantityProblem(text: string): string | undefined {
  if (parseQuantity(text) !== undefined) return undefined;
  return `${quoted(text)} is not a quantity; examples: 1, 500m, 0.5, 64Mi, 1G`;
}

function timestampProblem(text: string): string | undefined {
  if (timestampPattern.test(text) && !Number.isNaN(Date.parse(text))) return undefined;
  return `${quoted(text)} is not a time in RFC 3339 form, such as 2026-01-31T08:00:00Z`;
}

export function isBase64(text: string): boolean {
  return base64Pattern.test(text);
}

const checks: Readonly<Record<string, (text: string) => string | undefined>> = {
  quantity: quantityProblem,
  timestamp: timestampProblem,
  'label-value': labelValueProblem,
  'dns-label': dnsLabelProblem,
  'dns-subdomain': dnsSubdomainProblem,
  ip: ipProblem,
  cidr: cidrProblem,
};

/** `format` is a field's (format) option; formats without a rule of their own accept every string. */
export function formatProblem(format: string, text: string): string | undefined {
  return checks[format]?.(text);
}
