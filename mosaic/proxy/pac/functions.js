// What a PAC script may call. Names are never resolved here: a name that is not
// in the table is noted in `wanted`, and the caller resolves it and asks again.
"use strict";
var __mosaic = { dns: {}, my: "127.0.0.1", wanted: [] };

function __lookup(host) {
  host = String(host).toLowerCase();
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host) || host.indexOf(":") >= 0) return [host];
  if (!Object.prototype.hasOwnProperty.call(__mosaic.dns, host)) {
    if (__mosaic.wanted.indexOf(host) < 0) __mosaic.wanted.push(host);
    return null;
  }
  return __mosaic.dns[host];
}
function __isV4(text) {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text);
}
function isPlainHostName(host) {
  return String(host).indexOf(".") < 0 && String(host).indexOf(":") < 0;
}
function dnsDomainIs(host, domain) {
  host = String(host).toLowerCase();
  domain = String(domain).toLowerCase();
  return host.length >= domain.length && host.slice(-domain.length) === domain;
}
function localHostOrDomainIs(host, full) {
  host = String(host).toLowerCase();
  full = String(full).toLowerCase();
  return host === full || (host.indexOf(".") < 0 && full.indexOf(host + ".") === 0);
}
function dnsResolve(host) {
  var found = (__lookup(host) || []).filter(__isV4);
  return found.length ? found[0] : null;
}
function dnsResolveEx(host) {
  return (__lookup(host) || []).join(";");
}
function isResolvable(host) {
  return dnsResolve(host) !== null;
}
function isResolvableEx(host) {
  return dnsResolveEx(host) !== "";
}
function myIpAddress() {
  return __mosaic.my;
}
function myIpAddressEx() {
  return __mosaic.my;
}
function convert_addr(text) {
  var b = String(text).split(".");
  return ((b[0] & 255) << 24) | ((b[1] & 255) << 16) | ((b[2] & 255) << 8) | (b[3] & 255);
}
function isInNet(host, pattern, mask) {
  var address = dnsResolve(host);
  if (address === null || !__isV4(String(pattern)) || !__isV4(String(mask))) return false;
  var bits = convert_addr(mask);
  return (convert_addr(address) & bits) === (convert_addr(pattern) & bits);
}
function __groups(text) {
  // The 16 bytes of an IPv6 address, or the 4 of an IPv4 address, or null.
  if (__isV4(text)) return text.split(".").map(Number);
  var halves = text.split("::");
  if (halves.length > 2) return null;
  var bytes = function (half) {
    var out = [];
    half.split(":").filter(Boolean).forEach(function (group) {
      if (__isV4(group)) out = out.concat(group.split(".").map(Number));
      else {
        var number = parseInt(group, 16);
        out.push(number >> 8, number & 255);
      }
    });
    return out;
  };
  var head = bytes(halves[0]);
  var tail = halves.length === 2 ? bytes(halves[1]) : [];
  if (halves.length === 1 && head.length !== 16) return null;
  while (head.length + tail.length < 16) head.push(0);
  return head.concat(tail).slice(0, 16);
}
function isInNetEx(host, prefix) {
  var parts = String(prefix).split("/");
  var net = __groups(parts[0]);
  var length = Number(parts[1]);
  if (net === null || !(length >= 0)) return false;
  return (__lookup(host) || []).some(function (address) {
    var bytes = __groups(address);
    if (bytes === null || bytes.length !== net.length) return false;
    for (var bit = 0; bit < length && bit < 8 * net.length; bit++) {
      var mask = 128 >> (bit & 7);
      if ((bytes[bit >> 3] & mask) !== (net[bit >> 3] & mask)) return false;
    }
    return true;
  });
}
function sortIpAddressList(list) {
  return String(list).split(";").map(function (x) { return x.trim(); }).filter(Boolean)
    .sort(function (a, b) {
      return (__isV4(a) ? 1 : 0) - (__isV4(b) ? 1 : 0) || (a < b ? -1 : a > b ? 1 : 0);
    }).join(";");
}
function getClientVersion() {
  return "1.0";
}
function dnsDomainLevels(host) {
  return String(host).split(".").length - 1;
}
function shExpMatch(text, pattern) {
  // A glob without regular expressions: linear but for one step back.
  text = String(text);
  pattern = String(pattern);
  var t = 0, p = 0, star = -1, mark = 0;
  while (t < text.length) {
    if (p < pattern.length && (pattern[p] === "?" || (pattern[p] === text[t] && pattern[p] !== "*"))) {
      t++;
      p++;
    } else if (p < pattern.length && pattern[p] === "*") {
      star = p++;
      mark = t;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else return false;
  }
  while (p < pattern.length && pattern[p] === "*") p++;
  return p === pattern.length;
}
function __now(args) {
  // The current time in the zone that the last argument asks for.
  var list = Array.prototype.slice.call(args);
  var gmt = list.length > 0 && list[list.length - 1] === "GMT";
  if (gmt) list.pop();
  var d = new Date();
  return {
    args: list,
    day: gmt ? d.getUTCDay() : d.getDay(),
    date: gmt ? d.getUTCDate() : d.getDate(),
    month: gmt ? d.getUTCMonth() : d.getMonth(),
    year: gmt ? d.getUTCFullYear() : d.getFullYear(),
    seconds: gmt
      ? d.getUTCHours() * 3600 + d.getUTCMinutes() * 60 + d.getUTCSeconds()
      : d.getHours() * 3600 + d.getMinutes() * 60 + d.getSeconds(),
  };
}
function __between(low, value, high) {
  return low <= high ? low <= value && value <= high : value >= low || value <= high;
}
var __days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
var __months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
function weekdayRange() {
  var now = __now(arguments);
  var first = __days.indexOf(now.args[0]);
  var last = now.args.length > 1 ? __days.indexOf(now.args[1]) : first;
  return first >= 0 && last >= 0 && __between(first, now.day, last);
}
function dateRange() {
  var now = __now(arguments), a = now.args;
  var part = function (x) {
    if (typeof x === "string") return { key: "month", value: __months.indexOf(x) };
    return x > 31 ? { key: "year", value: x } : { key: "date", value: x };
  };
  if (a.length === 1) {
    var only = part(a[0]);
    return now[only.key] === only.value;
  }
  // Two ends with the same parts, compared from the largest to the smallest.
  var weigh = function (list) {
    var sum = 0, scale = { year: 10000, month: 100, date: 1 };
    list.map(part).forEach(function (p) { sum += p.value * scale[p.key]; });
    return sum;
  };
  var half = a.length / 2;
  if (half !== Math.floor(half)) return false;
  var here = 0;
  a.slice(0, half).map(part).forEach(function (p) {
    here += now[p.key] * { year: 10000, month: 100, date: 1 }[p.key];
  });
  return __between(weigh(a.slice(0, half)), here, weigh(a.slice(half)));
}
function timeRange() {
  var now = __now(arguments), a = now.args.map(Number), s = now.seconds;
  if (a.length === 1) return Math.floor(s / 3600) === a[0];
  if (a.length === 2) return __between(a[0] * 3600, s, a[1] * 3600 - 1);
  if (a.length === 4) return __between(a[0] * 3600 + a[1] * 60, s, a[2] * 3600 + a[3] * 60);
  if (a.length === 6)
    return __between(a[0] * 3600 + a[1] * 60 + a[2], s, a[3] * 3600 + a[4] * 60 + a[5]);
  return false;
}
function alert() {}
